"""`soak.html` shows the books of a soak run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.soak.books import Books
from bench.soak.disturbance import Event
from bench.soak.report import Soak, write_reports
from tests.text_boxes import unreadable_texts


def soak(wrong: dict[str, str]) -> Soak:
    return Soak(
        books=Books(2_000, 1_800, 150, 50, 0, wrong, 1.0, (0.5, 1.25)),
        seconds=540.4,
        events=[Event("kill", "2026-11-25T15:45:12+00:00")] * 3,
        faults={"aws": Counter({"dynamodb throttled": 40, "s3 latency": 7})},
        calls={"aws": 1_000},
        sent_again=44,
        table_writes=2_100,
        recoveries_seconds=[2.5],
        memory_mb=[(0.0, 900.0), (540.0, 1_250.5)],
    )


@pytest.mark.parametrize(
    "fact",
    [
        "none is lost, none was written twice",
        "2,000",
        "1,800",
        "1.0000",
        "540",
        "kill",
        "dynamodb throttled",
        "4.00\u00a0%",
        "1.25",
        "2.50",
        "memory, MB",
    ],
)
def test_every_fact_is_shown(fact: str, tmp_path: Path) -> None:
    page = write_reports(soak({}), tmp_path).read_text()
    assert fact in page
    assert unreadable_texts(page) == []


def test_lost_images_are_named_as_text(tmp_path: Path) -> None:
    page = write_reports(soak({"<b>.jpg": "no row"}), tmp_path).read_text()
    assert "The books are NOT balanced" in page
    assert "&lt;b&gt;.jpg" in page
