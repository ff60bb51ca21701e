"""The reliability diagram: how often answers of a confidence are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from training.reports.axes import Axis
from training.reports.charts import Series, xy_chart
from training.statistics.intervals import wilson_interval
from training.statistics.metrics import Bin


def reliability_chart(bins_of: Mapping[str, Sequence[Bin]]) -> Markup:
    """The error bars are 95 % intervals: a bin of few photos says little.

    Args:
        bins_of: by the name of their line.
    """
    return xy_chart(
        [
            *(_series(name, bins) for name, bins in bins_of.items()),
            Series("ideal", [(0, 0), (1, 1)], has_dots=False),
        ],
        Axis("confidence", 0, 1, is_share=True),
        Axis("share that is right", 0, 1, is_share=True),
    )


def interval_of(each: Bin) -> tuple[float, float]:
    """The 95 % interval of the share that is right."""
    return wilson_interval(round(each.accuracy * each.count), each.count)


def _series(name: str, bins: Sequence[Bin]) -> Series:
    return Series(
        name,
        points=[(each.confidence, each.accuracy) for each in bins],
        titles=[
            f"{name}: {each.count:,} photos, mean confidence {each.confidence:.1%}, "
            f"{each.accuracy:.1%} right"
            for each in bins
        ],
        errors=[interval_of(each) for each in bins],
    )
