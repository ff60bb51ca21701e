"""The classify handler over every sample event in ``events/``."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handlers import classify, wiring
from imaging import Rejection
from pipeline.errors import TransientError
from pipeline.events import utc_now
from pipeline.records import Status
from pipeline.retries import FailedMessage
from tests.fakes import FakeEndpoint, FakePredictions, jpeg, use_case_over
from tests.s3_events import queue_body, queue_event, s3_record

EVENTS = Path(__file__).parents[3] / "events"


@dataclass
class Context:
    """The part of Lambda's context that the handler uses."""

    remaining_ms: int = 90_000
    function_name: str = "classify"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:classify"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


class Objects(dict[str, bytes | Rejection | Exception | None]):
    """Every name is a healthy photo unless it says otherwise."""

    def __missing__(self, name: str) -> bytes:
        return jpeg()


@dataclass
class FakeQueue:
    retried: list[FailedMessage]
    given_up: list[FailedMessage] = field(default_factory=list)
    takes_dead_letters: bool = True

    def retry_soon(self, messages: list[FailedMessage]) -> None:
        self.retried += messages

    def give_up(self, messages: list[FailedMessage]) -> set[str]:
        if not self.takes_dead_letters:
            return set()
        self.given_up += messages
        return {each.message_id for each in messages}


@dataclass
class Pipeline:
    endpoint: FakeEndpoint
    predictions: FakePredictions
    objects: Objects
    queue: FakeQueue

    def handle(self, event: dict[str, Any], context: Context | None = None) -> list[str]:
        """Returns the ids of the messages to retry."""
        response = classify.handler(event, context or Context())  # type: ignore[arg-type]
        return [each["itemIdentifier"] for each in response["batchItemFailures"]]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "imagedrop")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "classify")
    monkeypatch.setattr(classify.metrics, "namespace", "imagedrop", raising=False)
    monkeypatch.setattr(classify.metrics.provider, "service", "classify")
    objects, endpoint = Objects(), FakeEndpoint()
    use_case = use_case_over(objects, endpoint)
    monkeypatch.setattr(wiring, "classify_images", lambda: use_case)
    assert isinstance(use_case.predictions, FakePredictions)
    queue = FakeQueue([])
    monkeypatch.setattr(wiring, "images_queue", lambda: queue)
    monkeypatch.setenv("MAX_RECEIVES", "10")
    return Pipeline(endpoint, use_case.predictions, objects, queue)


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def test_created_event_becomes_a_row(pipeline: Pipeline) -> None:
    assert pipeline.handle(sample("created")) == []
    assert pipeline.predictions.rows["incoming/dog.jpg"].status is Status.CLASSIFIED


def test_removed_event_becomes_a_tombstone(pipeline: Pipeline) -> None:
    assert pipeline.handle(sample("removed")) == []
    assert pipeline.predictions.rows["incoming/dog.jpg"].status is Status.DELETED


def test_the_test_event_of_s3_is_acknowledged_without_a_row(pipeline: Pipeline) -> None:
    assert pipeline.handle(sample("test-event")) == []
    assert pipeline.predictions.rows == {}


def test_odd_keys_become_rows_under_their_own_names(pipeline: Pipeline) -> None:
    assert pipeline.handle(sample("odd-keys")) == []
    assert set(pipeline.predictions.rows) == {
        "incoming/a b+c%20é.jpg",
        "incoming/🐶 & friends/=1.jpg",
        "incoming/UPPER.JPG",
    }


def test_a_duplicate_is_acknowledged_and_answered_once(pipeline: Pipeline) -> None:
    assert pipeline.handle(sample("duplicate")) == []
    assert [count for _, count in pipeline.endpoint.calls] == [1]


def test_a_batch_is_one_endpoint_call(pipeline: Pipeline) -> None:
    assert pipeline.handle(sample("batch")) == []
    assert [count for _, count in pipeline.endpoint.calls] == [25]
    assert len(pipeline.predictions.rows) == 25


def test_age_of_the_oldest_message_is_measured_although_it_fails_again(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = sample("batch")
    sent = 1_795_593_600
    event["Records"][3]["attributes"] |= {
        "ApproximateReceiveCount": "7",
        "SentTimestamp": str((sent - 950) * 1000),
    }
    event["Records"][3]["body"] = "no notification"
    monkeypatch.setattr(classify.time, "time", lambda: float(sent))

    assert pipeline.handle(event) == [event["Records"][3]["messageId"]]

    (line,) = [each for each in capsys.readouterr().out.splitlines() if "_aws" in each]
    written = json.loads(line)
    assert written["OldestSeconds"] == [950.0]
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert {"Name": "OldestSeconds", "Unit": "Seconds"} in directive["Metrics"]
    assert directive["Dimensions"] == [["service"]]


def test_only_the_message_that_failed_comes_again(pipeline: Pipeline) -> None:
    pipeline.objects["2.jpg"] = TransientError("SlowDown", "busy")
    assert pipeline.handle(sample("batch")) == ["m2"]
    (retried,) = pipeline.queue.retried
    assert (retried.message_id, retried.receipt_handle) == ("m2", "handle-2")
    assert (retried.receive_count, retried.body) == (1, sample("batch")["Records"][2]["body"])
    assert len(pipeline.predictions.rows) == 24


def at_try(number: int, event: dict[str, Any]) -> dict[str, Any]:
    for record in event["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = str(number)
    return event


@pytest.mark.parametrize(
    ("error", "reason"),
    [(TransientError("SlowDown", "busy"), "SlowDown"), (RuntimeError("bug"), "RuntimeError")],
)
def test_the_last_try_ends_in_the_dead_letter_queue_with_its_reason(
    pipeline: Pipeline, error: Exception, reason: str
) -> None:
    pipeline.objects["bad.jpg"] = error
    event = queue_event(
        queue_body(s3_record("incoming/bad.jpg")), queue_body(s3_record("incoming/good.jpg"))
    )
    assert pipeline.handle(at_try(10, event)) == []
    (letter,) = pipeline.queue.given_up
    assert (letter.body, letter.reason) == (event["Records"][0]["body"], reason)
    assert letter.receive_count == 10
    assert str(error) in letter.detail
    assert set(pipeline.predictions.rows) == {"incoming/good.jpg"}


def test_an_unreadable_message_is_given_up_with_its_body(pipeline: Pipeline) -> None:
    assert pipeline.handle(at_try(10, queue_event("no json"))) == []
    (letter,) = pipeline.queue.given_up
    assert (letter.body, letter.reason) == ("no json", "UnknownEventError")


def test_a_letter_that_cannot_be_sent_is_left_to_sqs(pipeline: Pipeline) -> None:
    pipeline.queue.takes_dead_letters = False
    pipeline.objects["bad.jpg"] = RuntimeError("bug")
    event = queue_event(queue_body(s3_record("incoming/bad.jpg")))
    assert pipeline.handle(at_try(10, event)) == ["m0"]


def test_nothing_is_given_up_before_its_last_try(pipeline: Pipeline) -> None:
    pipeline.objects["bad.jpg"] = RuntimeError("bug")
    event = queue_event(queue_body(s3_record("incoming/bad.jpg")))
    assert pipeline.handle(at_try(9, event)) == ["m0"]
    assert pipeline.queue.given_up == []


def test_a_message_comes_again_when_one_of_its_images_failed(pipeline: Pipeline) -> None:
    pipeline.objects["bad.jpg"] = RuntimeError("bug")
    event = queue_event(
        queue_body(s3_record("incoming/good.jpg"), s3_record("incoming/bad.jpg")),
        queue_body(s3_record("incoming/other.jpg")),
    )
    assert pipeline.handle(event) == ["m0"]


def test_both_duplicates_come_again_when_their_image_failed(pipeline: Pipeline) -> None:
    pipeline.objects["dog.jpg"] = TransientError("SlowDown", "busy")
    assert pipeline.handle(sample("duplicate")) == ["m0", "m1"]


def test_an_unreadable_message_is_retried_and_holds_up_no_other(pipeline: Pipeline) -> None:
    event = queue_event("no json", queue_body(s3_record()))
    assert pipeline.handle(event) == ["m0"]
    assert set(pipeline.predictions.rows) == {"incoming/dog.jpg"}


def test_too_little_time_left_sends_the_batch_back_untouched(pipeline: Pipeline) -> None:
    assert len(pipeline.handle(sample("batch"), Context(remaining_ms=65_000))) == 25
    assert pipeline.endpoint.calls == []


def test_a_batch_that_went_well_is_one_line_of_the_log(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pipeline.objects["1.jpg"] = b"<html>"
    pipeline.handle(sample("batch"))
    (line,) = [vars(each) for each in caplog.records]
    assert (line["msg"], line["Classified"], line["Rejected"]) == ("batch", 24, 1)
    assert (line["models"], line["rejections"]) == (["dogs@1"], {"not_an_image": 1})
    assert 0 <= line["milliseconds"] < 60_000


def test_what_the_log_no_longer_says_of_each_image_its_row_says(pipeline: Pipeline) -> None:
    pipeline.objects["1.jpg"] = b"<html>"
    pipeline.handle(sample("batch"))
    rows = pipeline.predictions.rows
    assert len(rows) == 25
    assert rows["incoming/1.jpg"].reason == "not_an_image"
    assert rows["incoming/2.jpg"].label == "0"


def test_an_image_that_failed_has_a_line_with_what_is_needed_to_find_it(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.objects["dog.jpg"] = TransientError("SlowDown", "busy")
    pipeline.handle(sample("created"))
    (line,) = [vars(each) for each in caplog.records if each.levelname == "WARNING"]
    assert line["image"].endswith("/incoming/dog.jpg")
    assert (line["message_id"], line["error"]) == ("m0", "SlowDown: busy")
    assert line["version"]
    assert line["sequencer"]


def test_each_image_is_counted_by_how_it_ended(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.objects["1.jpg"] = b"<html>"
    pipeline.handle(sample("batch"))
    counts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (sum(counts["Classified"]), sum(counts["Rejected"])) == (24, 1)


def test_the_time_from_drop_to_row_is_one_value_an_image_in_one_line(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = sample("batch")
    for message in event["Records"]:
        body = json.loads(message["body"])
        for each in body["Records"]:
            each["eventTime"] = utc_now()  # older ones than the queue keeps are no drops
        message["body"] = json.dumps(body)
    pipeline.handle(event)
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = pipeline.predictions.rows.values()
    took = [
        (datetime.fromisoformat(each.classified_at) - datetime.fromisoformat(each.received_at))
        for each in rows
    ]
    assert measured["DropToRowSeconds"] == [each.total_seconds() for each in took]
    assert len(took) == 25


def test_a_bug_is_logged_with_its_traceback(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.objects["dog.jpg"] = RuntimeError("a bug of ours")
    pipeline.handle(sample("created"))
    (bug,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert bug.exc_info is not None
    assert bug.exc_info[1] is pipeline.objects["dog.jpg"]


def test_nothing_that_an_image_holds_reaches_the_log(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif.get_ifd(0x8825)[29] = "SECRET:GPS:DATE"
    picture = io.BytesIO()
    Image.new("RGB", (16, 16)).save(picture, "JPEG", exif=exif, comment=b"SECRET comment")
    content = picture.getvalue()
    assert content.count(b"SECRET") == 3
    pipeline.objects["good.jpg"] = content
    pipeline.objects["cut.jpg"] = content[: len(content) // 2]
    pipeline.objects["text.jpg"] = b"SECRET text"
    pipeline.endpoint.failures = [RuntimeError("a bug")]
    caplog.set_level("DEBUG")
    for _ in range(2):
        names = ("good.jpg", "cut.jpg", "text.jpg")
        pipeline.handle(queue_event(*(queue_body(s3_record(f"incoming/{name}")) for name in names)))
    logged = caplog.text + "".join(capsys.readouterr())
    logged += "".join(str(vars(record)) for record in caplog.records)
    assert "good.jpg" in logged
    assert "SECRET" not in logged


def test_every_sample_event_is_used_by_its_functions_tests() -> None:
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [path.stem for path in EVENTS.glob("*.json") if f'"{path.stem}' not in source] == []
