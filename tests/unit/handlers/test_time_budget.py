"""Nothing begins that may not end before Lambda ends the function."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.config import Config

from bulk.chunks import PARALLEL_CHUNKS
from bulk.record_chunk import PARALLEL_WRITES
from handlers import classify, wiring
from pipeline import clients, time_budget
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.errors import TransientError
from tests.fakes import SPEC, FakeEndpoint, image_ref, jpeg, use_case_over
from tests.template_resources import resources
from tests.unit.handlers.test_classify import Context


def longest_seconds(config: Config) -> float:
    """All attempts until their time-outs, and the waits of botocore's standard mode in between:
    0..1 x 2^n seconds (botocore/retries/standard.py, ExponentialBackoff)."""
    settings: Any = config
    attempts: int = settings.retries["total_max_attempts"]
    assert settings.retries["mode"] == "standard"
    waits = sum(min(2.0**number, 20.0) for number in range(attempts - 1))
    return attempts * (settings.connect_timeout + settings.read_timeout) + waits


def test_every_call_at_once_has_a_connection_that_stays_open() -> None:
    at_once = (PARALLEL_IMAGES, PARALLEL_WRITES, PARALLEL_CHUNKS)
    settings: Any = clients.QUICK
    assert settings.max_pool_connections >= max(at_once)


def function_seconds() -> float:
    return float(resources()["ClassifyFunction"]["Properties"]["Timeout"])


def test_a_write_or_a_word_to_the_queue_ends_in_time() -> None:
    assert longest_seconds(clients.BRIEF) < time_budget.LAST_WRITE_SECONDS


def test_an_endpoint_call_leaves_time_for_a_write() -> None:
    needed = longest_seconds(clients.PATIENT) + longest_seconds(clients.BRIEF)
    assert needed < time_budget.LAST_START_SECONDS


def test_who_waits_at_the_api_learns_of_a_cold_endpoint_in_time() -> None:
    api_seconds = float(resources()["ApiFunction"]["Properties"]["Timeout"])
    assert longest_seconds(clients.WATCHED) < api_seconds - 5


def test_the_endpoint_has_its_own_60_seconds() -> None:
    settings: Any = clients.PATIENT
    assert settings.read_timeout > 60


def test_a_read_and_its_write_end_in_time() -> None:
    decode_seconds = 10
    needed = longest_seconds(clients.QUICK) + decode_seconds + longest_seconds(clients.BRIEF)
    assert needed < time_budget.LAST_START_SECONDS


def test_there_is_time_to_read_before_the_endpoint_must_be_asked() -> None:
    """Ten photos of 12 megapixels are half a second of CPU, 50 ms each (`bench.prepare`)."""
    assert function_seconds() - time_budget.LAST_READ_SECONDS >= 8


def test_reads_that_have_begun_end_before_the_endpoint_must_be_asked() -> None:
    """Four at once, one after the other in the decoder, at most 2 s of CPU each."""
    assert time_budget.LAST_READ_SECONDS - time_budget.LAST_START_SECONDS >= 4 * 2


def test_the_function_writes_and_reports_with_the_brief_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[str, Config]] = []

    def client(service: str, config: Config = clients.QUICK) -> object:
        made.append((service, config))
        return object()

    monkeypatch.setattr(wiring, "client", client)
    monkeypatch.setenv("IMAGES_QUEUE_URL", "q")
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", "d")
    monkeypatch.setenv("PREDICTIONS_TABLE", "t")
    monkeypatch.setenv("ENDPOINT_NAME", "e")
    monkeypatch.setenv("MAX_PAYLOAD_BYTES", "1000000")
    monkeypatch.setenv("PIXELS_ENCODING", "webp")
    monkeypatch.setenv("IMAGE_SPEC", json.dumps(SPEC.to_json()))
    wiring.classify_images.__wrapped__()
    wiring.images_queue.__wrapped__()
    assert dict(made) == {
        "s3": clients.QUICK,
        "sagemaker-runtime": clients.PATIENT,
        "dynamodb": clients.BRIEF,
        "sqs": clients.BRIEF,
    }


def test_answers_that_came_too_late_to_be_written_come_again() -> None:
    left = [80.0]
    endpoint = FakeEndpoint()
    answer = endpoint.classify

    def slow(*request: Any) -> Any:
        left[0] = 9.0
        return answer(*request)

    endpoint.classify = slow  # type: ignore[method-assign]
    use_case = use_case_over({"a.jpg": jpeg(), "b.jpg": jpeg()}, endpoint)
    outcomes = use_case.run(
        [image_ref("a.jpg"), image_ref("b.jpg")],
        out_of_time=lambda: left[0] < time_budget.LAST_START_SECONDS,
        too_late_to_write=lambda: left[0] < time_budget.LAST_WRITE_SECONDS,
    )
    errors = [each.error for each in outcomes]
    assert all(isinstance(each, TransientError) and each.code == "OutOfTime" for each in errors)
    assert use_case.predictions.rows == {}  # type: ignore[attr-defined]


def test_too_late_for_words_to_the_queue_the_batch_is_still_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classify.metrics, "namespace", "imagedrop", raising=False)
    monkeypatch.setattr(classify.metrics, "service", "classify", raising=False)
    use_case = use_case_over({})
    monkeypatch.setattr(wiring, "classify_images", lambda: use_case)
    monkeypatch.setattr(wiring, "images_queue", lambda: None)  # a call would fail the test
    monkeypatch.setenv("MAX_RECEIVES", "1")
    message = {
        "messageId": "m0",
        "receiptHandle": "handle",
        "body": "no notification",
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795593600000"},
    }
    response = classify.handler({"Records": [message]}, Context(remaining_ms=9_000))  # type: ignore[arg-type]
    assert response == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
