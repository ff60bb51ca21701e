"""`training.html`: how a training went, from the record that it left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from training.exporting import RECORD_NAME
from training.reports.axes import Axis
from training.reports.charts import Series, xy_chart
from training.reports.curves import curves
from training.reports.page import TEMPLATES, render
from training.watch.observer import EpochMetrics

HTML_NAME = "training.html"


def write_training_page(folder: Path) -> Path:
    """Writes the page beside the record of a training; returns the page's path.

    Raises:
        OSError: the record cannot be read, or the page not written.
    """
    record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    file = folder / HTML_NAME
    file.write_text(training_page(record), encoding="utf-8")
    return file


def training_page(record: Mapping[str, Any]) -> str:
    """The whole file.

    Args:
        record: the content of `training.json`.
    """
    history = [EpochMetrics(**each) for each in record["history"]]
    return render(
        TEMPLATES / "training.html",
        record=record,
        history=history,
        folds=[EpochMetrics(**each) for each in record["folds"]],
        curves=curves(history),
        spread=_spread(record["spread"]) if record.get("spread") else [],
    )


def _spread(spread: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Markup]]:
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
