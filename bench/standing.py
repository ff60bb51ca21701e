"""The result of a section of ``make bench``: ours beside others, and our goal.

A section runs all its ways in turn, so that each round meets the same machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Bar:
    """A goal, and what was measured.

    Attributes:
        text: the goal, in words.
        ratio: what was measured; ``goal`` is its bound.
        at_least: whether a larger ratio is better.
    """

    text: str
    ratio: float
    goal: float
    at_least: bool

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal


@dataclass(frozen=True, slots=True)
class Section:
    """One comparison.

    Attributes:
        name: as `python -m bench NAME` has it.
        title: the question that it answers.
        unit: of the values; less is better unless ``more_is_better``.
        values: of each way, one a round.
        floor: the cost that every way has, in the same unit; None if there is none.
        bars: the goals.
        notes: notes for the reader of the figures.
    """

    name: str
    title: str
    unit: str
    values: Mapping[str, Sequence[float]]
    bars: Sequence[Bar]
    floor: float | None = None
    more_is_better: bool = False
    notes: Sequence[str] = field(default=())

    def median(self, way: str) -> float:
        return statistics.median(self.values[way])

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "more_is_better": self.more_is_better,
            "ways": {
                way: {"median": self.median(way), "rounds": list(rounds)}
                for way, rounds in self.values.items()
            },
            "floor": self.floor,
            "bars": [
                {"text": bar.text, "ratio": bar.ratio, "goal": bar.goal, "met": bar.met}
                for bar in self.bars
            ],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The section as lines for a terminal."""
        lines = [f"{self.title} ({self.unit})"]
        for way, rounds in self.values.items():
            spread = f"{min(rounds):.1f} to {max(rounds):.1f}"
            lines.append(f"  {way:22} {self.median(way):9.1f}   {spread}")
        if self.floor is not None:
            lines.append(f"  {'floor':22} {self.floor:9.1f}")
        for bar in self.bars:
            verdict = "met" if bar.met else "NOT MET"
            lines.append(f"  {bar.text}: {bar.ratio:.2f}, {verdict}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)
