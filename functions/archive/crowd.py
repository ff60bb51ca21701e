"""The properties by which photos are counted: a day's in the journal, a model's own on its card."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping

from imaging.appearance import EDGES as APPEARANCE_EDGES

# Kinds that are counted in ten bins, by the edges between them; a count's name is KIND:BIN.
EDGES: dict[str, tuple[float, ...]] = {
    "confidence": tuple(place / 10 for place in range(1, 10)),
    **APPEARANCE_EDGES,
    "megapixels": (0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 24),
    "aspect": (0.6, 0.7, 0.8, 0.95, 1.05, 1.25, 1.4, 1.6, 1.9),  # width over height
}
BINS = 10
# On a card, among the metrics: the counts of the photos that they were measured on.
BASELINE = "baseline"


def counted_names(
    label: str, confidence: float, size: tuple[int, int] | None, appearance: str | None
) -> list[str]:
    """Returns the names of the counts that an answered photo adds to.

    Args:
        size: width and height as displayed, pixels.
        appearance: of ``imaging.appearance``; None where the pixels were not looked at.
    """
    names = [f"labels:{label}", _name("confidence", confidence)]
    if size is not None:
        width, height = size
        names += [_name("megapixels", width * height / 1e6), _name("aspect", width / height)]
    if appearance is not None:
        names += [
            f"{kind}:{tenth}" for kind, tenth in zip(APPEARANCE_EDGES, appearance, strict=True)
        ]
    return names


def _name(kind: str, value: float) -> str:
    return f"{kind}:{bisect_right(EDGES[kind], value)}"


def baseline_of(metrics: Mapping[str, object]) -> Counter[str] | None:
    """Returns the counts on a card; None where it has none, or none that can be read."""
    found = metrics.get(BASELINE)
    if not isinstance(found, dict):
        return None
    if not all(":" in name and type(count) is int and count > 0 for name, count in found.items()):
        return None
    return Counter(found)
