"""The part of a run's HTML report that compares a candidate with the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from training.reports.numbers import percent
from training.reports.reliability import reliability_chart
from training.statistics.intervals import paired_interval, wilson_interval
from training.statistics.metrics import Bin

PAIRS_SHOWN = 30
PAIRS_WITH_PHOTOS = 12

Pictures = Callable[[Mapping[str, Any]], bytes | None]


def comparison_values(comparison: Mapping[str, Any], picture: Pictures) -> dict[str, Any]:
    """Returns the values that `comparison.html` names.

    Args:
        comparison: `bulk.comparison.Comparison.report`.
        picture: makes a WebP file of an example; None if there is nothing to show.
    """
    flips = comparison["flips"]
    sides = ("live", "candidate")
    calibration = {side: comparison["calibration"][side] for side in sides}
    bins = {side: [Bin(**each) for each in calibration[side]["bins"]] for side in sides}
    reviewed, compared = comparison["reviewed"], comparison["compared"]
    return {
        "agreement": _share(comparison["agreed"], compared),
        "accuracy": {
            side: _share(
                comparison["right"]["both"] + comparison["right"][f"only_{side}"], reviewed
            )
            for side in sides
        },
        "difference": _difference(comparison["right"], reviewed),
        "flips": [(_title(each), each["count"]) for each in flips[:PAIRS_SHOWN]],
        "flips_left": len(flips) - PAIRS_SHOWN,
        "pictured": [_pictured(each, picture) for each in flips[:PAIRS_WITH_PHOTOS]],
        "ece": {
            side: "none" if each["ece"] is None else f"{each['ece']:.3f}"
            for side, each in calibration.items()
        },
        "reliability": reliability_chart(bins),
        "bins": [(side, each) for side in sides for each in bins[side]],
    }


def _title(flip: Mapping[str, Any]) -> str:
    return f"{flip['from']} → {flip['to']}"


def _share(part: int, whole: int) -> str:
    if not whole:
        return "none"
    low, high = wilson_interval(part, whole)
    return f"{percent(part / whole)}, 95 % interval {percent(low)} to {percent(high)}"


def _difference(right: Mapping[str, int], reviewed: int) -> str:
    """Returns the candidate's gain."""
    if not reviewed:
        return "none"
    points, (low, high) = paired_interval(right["only_candidate"], right["only_live"], reviewed)
    return f"{points:+.1f} ({low:+.1f} to {high:+.1f})"


def _pictured(flip: Mapping[str, Any], picture: Pictures) -> dict[str, Any]:
    photos = [{"webp": picture(each), "caption": _caption(each, flip)} for each in flip["examples"]]
    return {"title": _title(flip), "count": flip["count"], "photos": photos}


def _caption(example: Mapping[str, Any], flip: Mapping[str, Any]) -> str:
    said = f"; a person: {example['truth'] or 'not one of these'}" if example["is_reviewed"] else ""
    return (
        f"{example['key']}: {flip['from']} {example['live_confidence']:.2f}, "
        f"{flip['to']} {example['confidence']:.2f}{said}"
    )
