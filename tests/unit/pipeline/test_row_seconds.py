"""The metric of the time from drop to row counts drops alone."""

from __future__ import annotations

from pipeline.classify_images import Outcome
from pipeline.log_lines import QUEUE_SECONDS, row_seconds
from tests.tables import classified, image_ref
from tests.template_resources import resources


def outcome(received_at: str) -> Outcome:
    ref = image_ref(received_at=received_at)
    return Outcome(ref, record=classified(ref, at="2026-11-24T06:00:01.000Z"), written=True)


def test_an_image_that_is_answered_again_after_a_month_is_no_drop() -> None:
    drop, again = outcome("2026-11-24T06:00:00.000Z"), outcome("2026-10-24T06:00:00.000Z")
    assert row_seconds([drop, again]) == [1.0]


def test_the_limit_is_how_long_the_queue_keeps_a_message() -> None:
    assert resources()["ImagesQueue"]["Properties"]["MessageRetentionPeriod"] == QUEUE_SECONDS
