"""Notices of rows that match a rule: a label, a confidence, a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.records import Record, Status

# A mail for a whole folder lists the first rows, and how many more there are.
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule for notices; every given condition must match."""

    label: str | None = None
    min_confidence: float = 0.0
    folder: str = ""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Reads ``label=pug,min_confidence=0.9,folder=incoming/cats/``.

        Raises:
            ValueError: an unknown name, or a confidence that is no number.
        """
        given = dict(part.split("=", 1) for part in text.split(","))
        confidence = float(given.pop("min_confidence", 0))
        label, folder = given.pop("label", None), given.pop("folder", "")
        if given:
            raise ValueError(f"a notice has no {', '.join(given)}")
        return cls(label=label, min_confidence=confidence, folder=folder)

    def matches(self, record: Record) -> bool:
        return (
            record.status is Status.CLASSIFIED
            and self.label in (None, record.label)
            and (record.confidence or 0.0) >= self.min_confidence
            and record.key.startswith(self.folder)
        )


def message_of(records: Sequence[Record]) -> str:
    """Returns a message about rows that match."""
    lines = [f"{each.key}: {each.label} {each.confidence:.3f}" for each in records[:SHOWN]]
    if len(records) > SHOWN:
        lines.append(f"and {len(records) - SHOWN} more")
    return "\n".join(lines)
