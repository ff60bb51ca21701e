"""The report of a bulk run as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagedrop.bulk.comparison_page import Pictures, comparison_values
from imagedrop.bulk.output import COUNTS
from training.reports.axes import Axis
from training.reports.charts import column_chart
from training.reports.page import render

LABELS_SHOWN = 30


def report_page(
    report: Mapping[str, Any],
    cost_dollars: Mapping[str, float],
    picture: Pictures = lambda _example: None,
) -> str:
    """Returns the HTML of the whole page.

    Args:
        report: the content of `report.json`.
        cost_dollars: the estimated cost, by item.
        picture: makes the thumbnails of a comparison's flips.
    """
    comparison = report.get("comparison")
    labels = sorted(report["labels"].items(), key=lambda item: (-item[1], item[0]))
    return render(
        Path(__file__).with_name("report.html"),
        report=report,
        source=_source(report["source"]),
        counts=[(name, report[name]) for name in COUNTS],
        labels=labels[:LABELS_SHOWN],
        labels_left=len(labels) - LABELS_SHOWN,
        confidence=column_chart(
            report["confidence_histogram"],
            Axis("confidence", 0, 1, is_share=True),
            Axis("images"),
        ),
        cost_dollars=cost_dollars,
        comparison=comparison,
        **(comparison_values(comparison, picture) if comparison else {}),
    )


def _source(source: Mapping[str, Any]) -> str:
    if source["kind"] == "folder":
        return f"s3://{source['bucket']}/{source['prefix']}"
    return str(source.get("filters") or source.get("manifest") or source.get("uri"))
