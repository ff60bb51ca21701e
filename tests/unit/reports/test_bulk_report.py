"""The page of a bulk run: every fact of report.json, and hostile names as text."""

from __future__ import annotations

from typing import Any

import pytest

from imagedrop.bulk.report_page import report_page
from tests.text_boxes import unreadable_texts

REPORT: dict[str, Any] = {
    "run": "photos-20261125t154512",
    "source": {"kind": "folder", "bucket": "images", "prefix": "folders/dogs/"},
    "model": "dogs@1",
    "status": "INCOMPLETE",
    "started_at": "2026-11-25T15:45:12.000Z",
    "finished_at": "2026-11-25T15:46:12.000Z",
    "seconds": 60.0,
    "listed": 12_345,
    "classified": 12_000,
    "rejected": 300,
    "skipped": 40,
    "failed": 5,
    "ignored": 6,
    "unaccounted": 0,
    "rounds": 2,
    "labels": {f"label {n}": n for n in range(1, 33)} | {"<script>": 99},
    "confidence_histogram": list(range(20)),
    "rejections": {"truncated": 300},
    "skips": {"already_classified": 40},
    "failures": {"no_output": 7},
    "examples": {
        "rejected": [{"key": "<img src=x onerror=alert(1)>.jpg", "reason": "truncated"}],
        "failed": [{"key": "lost.jpg", "reason": "no_output"}],
    },
    "images_per_second": None,
    "transform_jobs": [
        {"name": "job-0", "status": "Failed", "seconds": None, "reason": "OutOfMemory"},
        {"name": "job-1", "status": "Completed", "seconds": 12.34, "reason": None},
    ],
    "shards": 7,
    "ledger": "s3://work/work/photos-20261125t154512/ledger/",
}


def test_ignored_names_are_counted_by_reason() -> None:
    ignored = {"ignored_reasons": {"system_folder": 6}, "ignored_names": "s3://work/ignored/"}
    page = report_page(REPORT | ignored, {})
    assert "system_folder" in page
    assert "s3://work/ignored/" in page


@pytest.fixture(scope="module")
def page() -> str:
    return report_page(REPORT, {"transform": 1.234567, "together": 1.5})


@pytest.mark.parametrize(
    "fact",
    [
        "photos-20261125t154512",
        "INCOMPLETE",
        "s3://images/folders/dogs/",
        "model dogs@1",
        "2026-11-25T15:46:12.000Z",
        "<b>12,345</b>listed",
        "<b>12,000</b>classified",
        "<b>0</b>unaccounted",
        "60.0 seconds, no images per second overall; 2 rounds, 7 shards",
        "and 3 more, in report.json",
        "truncated",
        "already_classified",
        "no_output",
        "lost.jpg",
        "OutOfMemory",
        "12.3",
        "1.234567",
        "s3://work/work/photos-20261125t154512/ledger/",
    ],
)
def test_every_fact_of_the_report_is_shown(page: str, fact: str) -> None:
    assert fact in page


def test_names_from_outside_are_text(page: str) -> None:
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page


def test_no_text_of_its_charts_covers_another(page: str) -> None:
    assert unreadable_texts(page) == []
