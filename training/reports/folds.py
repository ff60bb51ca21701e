"""The spread of a figure over the folds of a cross-validation, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from training.reports.axes import Axis
from training.reports.charts import Series, xy_chart


def spread_parts(spread: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Markup]]:
    """Top-1 and log loss of folds: name, figures and a chart."""
    return [
        (name, spread[field], fold_chart(spread[field], axis))
        for name, field, axis in (
            ("top-1", "top1", Axis("top-1", is_share=True)),
            ("log loss", "log_loss", Axis("log loss")),
        )
    ]


def fold_chart(figure: Mapping[str, Any], axis: Axis) -> Markup:
    """Each fold, and behind them the mean of all photos with its 95 % interval."""
    folds = list(enumerate(figure["folds"], start=1))
    mean = (len(folds) + 1, figure["mean"])
    interval = tuple(figure["interval"])
    return xy_chart(
        [
            Series("a fold", folds, is_joined=False),
            Series("all photos, with a 95 % interval", [mean], errors=[interval], is_joined=False),
        ],
        Axis("fold; the last is all photos", is_whole=True),
        axis,
    )
