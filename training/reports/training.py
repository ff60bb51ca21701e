"""`training.html`: a finished training, from its record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.reports.curves import curves
from training.reports.folds import spread_parts
from training.reports.page import TEMPLATES, render
from training.tracking.run_folders import RECORD_NAME
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
        spread=spread_parts(record["spread"]) if record.get("spread") else [],
    )
