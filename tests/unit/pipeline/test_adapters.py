"""S3 and the endpoint: transient errors, other errors, and missing objects."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from urllib3.exceptions import ProtocolError

from handlers import api_wiring
from imaging import ImageSpec, Rejection, RejectReason
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.images_queue import ImagesQueue
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.service_errors import translate_errors
from pipeline.answers import InvalidAnswerError
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.events import Change, ImageRef
from pipeline.retries import FailedMessage, retry_seconds, send_back

SPEC = ImageSpec.from_json(
    {
        "size": 8,
        "resize": 8,
        "crop": "center",
        "interpolation": "bilinear",
        "mean": [127, 127, 127],
        "std": [128, 128, 128],
        "layout": "NHWC",
    }
)
REF = ImageRef("bucket", "incoming/a b.jpg", "v1", True, "01", 3, "then", Change.CREATED)
WHERE = {"Bucket": "bucket", "Key": "incoming/a b.jpg", "VersionId": "v1"}


def stream(data: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(data), len(data))


def bucket(max_bytes: int = 10) -> tuple[ImagesBucket, Stubber]:
    client = boto3.client("s3")
    stubber = Stubber(client)
    stubber.activate()
    return ImagesBucket(client, max_bytes), stubber


def test_exactly_the_version_of_the_event_is_read() -> None:
    images, s3 = bucket()
    s3.add_response("get_object", {"Body": stream(b"abc"), "ContentLength": 3}, WHERE)
    assert images.read(REF) == b"abc"


def test_without_versions_the_etag_must_still_match() -> None:
    images, s3 = bucket()
    where = {"Bucket": "bucket", "Key": "incoming/a b.jpg", "IfMatch": "v1"}
    s3.add_response("get_object", {"Body": stream(b"abc"), "ContentLength": 3}, where)
    assert images.read(replace(REF, versioned=False)) == b"abc"


def test_an_object_announced_too_large_is_not_read_at_all() -> None:
    images, s3 = bucket(max_bytes=2)
    result = images.read(REF)
    s3.assert_no_pending_responses()
    assert isinstance(result, Rejection)
    assert result.reason is RejectReason.TOO_MANY_BYTES


def test_an_object_of_unknown_length_is_read_up_to_the_limit() -> None:
    images, s3 = bucket(max_bytes=5)
    s3.add_response("get_object", {"Body": stream(b"x" * 5)}, WHERE)
    assert images.read(REF) == b"xxxxx"
    s3.add_response("get_object", {"Body": stream(b"x" * 6)}, WHERE)
    result = images.read(REF)
    assert isinstance(result, Rejection)
    assert result.reason is RejectReason.TOO_MANY_BYTES


def test_a_body_that_breaks_off_is_a_transient_error() -> None:
    class BreaksOff(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise ProtocolError("Connection broken")

    images, s3 = bucket()
    s3.add_response("get_object", {"Body": StreamingBody(BreaksOff(), 3)}, WHERE)
    with pytest.raises(TransientError, match="ResponseStreamingError"):
        images.read(REF)


def test_an_object_that_comes_in_part_is_tried_again() -> None:
    images, s3 = bucket()
    s3.add_response("get_object", {"Body": stream(b"ab"), "ContentLength": 3}, WHERE)
    with pytest.raises(TransientError, match="IncompleteRead"):
        images.read(REF)


def test_an_object_larger_than_announced_is_not_read_to_its_end() -> None:
    images, s3 = bucket(max_bytes=5)
    s3.add_response("get_object", {"Body": stream(b"x" * 6), "ContentLength": 6}, WHERE)
    assert isinstance(images.read(REF), Rejection)


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion", "PreconditionFailed"])
def test_an_object_that_is_gone_is_none(code: str) -> None:
    images, s3 = bucket()
    s3.add_client_error("get_object", code, http_status_code=404)
    assert images.read(REF) is None


def test_an_archived_object_is_rejected_at_the_first_try() -> None:
    # S3 answers 403: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    images, s3 = bucket()
    s3.add_client_error(
        "get_object",
        "InvalidObjectState",
        http_status_code=403,
        service_error_meta={"StorageClass": "DEEP_ARCHIVE"},
    )
    rejection = images.read(REF)
    assert isinstance(rejection, Rejection)
    assert rejection.reason is RejectReason.ARCHIVED
    assert "DEEP_ARCHIVE" in rejection.detail


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_a_busy_bucket_is_transient(code: str, status: int) -> None:
    images, s3 = bucket()
    s3.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(TransientError, match=code):
        images.read(REF)


def test_a_malformed_version_is_gone_to_people_and_a_bug_to_the_pipeline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = boto3.client("s3")
    monkeypatch.setattr(api_wiring, "client", lambda _service: client)
    with Stubber(client) as s3:
        s3.add_client_error("get_object", "InvalidArgument", http_status_code=400)
        assert api_wiring.shown_images.__wrapped__().read(REF) is None
        s3.add_client_error("get_object", "InvalidArgument", http_status_code=400)
        with pytest.raises(ClientError):
            ImagesBucket(client).read(REF)


def test_a_missing_permission_is_a_bug() -> None:
    images, s3 = bucket()
    s3.add_client_error("get_object", "AccessDenied", http_status_code=403)
    with pytest.raises(ClientError):
        images.read(REF)


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="http://127.0.0.1"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1"),
    ],
)
def test_no_connection_and_no_answer_are_transient(error: Exception) -> None:
    with pytest.raises(TransientError, match=type(error).__name__), translate_errors():
        raise error


def endpoint() -> tuple[ModelEndpoint, Stubber]:
    client = boto3.client("sagemaker-runtime")
    stubber = Stubber(client)
    stubber.activate()
    return ModelEndpoint(client, "dogs"), stubber


def test_the_request_names_the_image_spec_and_the_answers_keep_their_order() -> None:
    model, runtime = endpoint()
    entries = [
        {
            "label": name,
            "confidence": 0.5,
            "predictions": [{"label": name, "confidence": 0.5}],
            "model": "dogs@1",
        }
        for name in ("beagle", "boxer")
    ]
    runtime.add_response(
        "invoke_endpoint",
        {"Body": stream(json.dumps(entries).encode())},
        {
            "EndpointName": "dogs",
            "ContentType": f"application/x-npy; spec={SPEC.hash}",
            "Accept": "application/json",
            "Body": b"npy",
        },
    )
    assert [each.label for each in model.classify(b"npy", SPEC, 2)] == ["beagle", "boxer"]


def model_error(runtime: Stubber, status: int, message: Any) -> None:
    runtime.add_client_error(
        "invoke_endpoint",
        "ModelError",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": json.dumps(message)},
    )


def test_another_spec_is_learned_from_the_endpoints_refusal() -> None:
    model, runtime = endpoint()
    model_error(runtime, 409, {"error": {"code": "spec_mismatch", "image_spec": SPEC.to_json()}})
    with pytest.raises(SpecMismatchError) as refusal:
        model.classify(b"npy", SPEC, 1)
    assert refusal.value.expected == SPEC


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_model_that_failed_by_itself_is_transient(status: int) -> None:
    model, runtime = endpoint()
    model_error(runtime, status, {})
    with pytest.raises(TransientError):
        model.classify(b"npy", SPEC, 1)


def test_a_request_that_the_model_refuses_is_a_bug() -> None:
    model, runtime = endpoint()
    model_error(runtime, 400, {})
    with pytest.raises(ClientError):
        model.classify(b"npy", SPEC, 1)


@pytest.mark.parametrize("code", ["ThrottlingException", "ModelNotReadyException"])
def test_a_busy_endpoint_is_transient(code: str) -> None:
    model, runtime = endpoint()
    runtime.add_client_error("invoke_endpoint", code, http_status_code=429)
    with pytest.raises(TransientError, match=code):
        model.classify(b"npy", SPEC, 1)


def test_a_missing_endpoint_is_a_bug() -> None:
    model, runtime = endpoint()
    runtime.add_client_error("invoke_endpoint", "ValidationError", http_status_code=400)
    with pytest.raises(ClientError):
        model.classify(b"npy", SPEC, 1)


def test_a_short_answer_is_refused() -> None:
    model, runtime = endpoint()
    runtime.add_response("invoke_endpoint", {"Body": stream(b"[]")})
    with pytest.raises(InvalidAnswerError):
        model.classify(b"npy", SPEC, 1)


def failed(message_id: str, handle: str = "handle", receives: int = 1) -> FailedMessage:
    return FailedMessage(message_id, handle, receives, f"body of {message_id}", "SlowDown", "why")


def queue() -> tuple[ImagesQueue, Stubber]:
    client = boto3.client("sqs")
    stubber = Stubber(client)
    stubber.activate()
    return ImagesQueue(client, "https://queue", "https://dead"), stubber


def test_failed_messages_are_made_visible_in_tens() -> None:
    images_queue, sqs = queue()
    for size in (10, 2):
        handles = [
            {"Id": str(i), "ReceiptHandle": ANY, "VisibilityTimeout": ANY} for i in range(size)
        ]
        expected = {"QueueUrl": "https://queue", "Entries": handles}
        sqs.add_response(
            "change_message_visibility_batch", {"Successful": [], "Failed": []}, expected
        )
    messages = [failed(f"m{i}", f"handle-{i}") for i in range(12)]
    send_back(images_queue, messages, last=[], too_late=lambda: False)
    sqs.assert_no_pending_responses()


def test_a_refused_retry_is_logged_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    images_queue, sqs = queue()
    sqs.add_client_error("change_message_visibility_batch", "AccessDenied", http_status_code=403)
    images_queue.retry_soon([failed("m0", "handle-0")])
    assert "AccessDenied" in caplog.text


def test_a_single_message_that_cannot_be_retried_soon_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    images_queue, sqs = queue()
    failure = {"Id": "0", "SenderFault": True, "Code": "MessageNotInflight"}
    sqs.add_response("change_message_visibility_batch", {"Successful": [], "Failed": [failure]})
    images_queue.retry_soon([failed("m0", "handle-0")])
    assert "m0" in caplog.text


def test_dead_letters_carry_their_reason_and_are_told_apart_by_id() -> None:
    images_queue, sqs = queue()
    attributes = {
        "reason": {"DataType": "String", "StringValue": "SlowDown"},
        "detail": {"DataType": "String", "StringValue": "why"},
        "message_id": {"DataType": "String", "StringValue": "m0"},
        "attempts": {"DataType": "Number", "StringValue": "10"},
    }
    attributes["first_tried_at"] = {
        "DataType": "String",
        "StringValue": "2026-11-25T08:00:00.000Z",
    }
    entries = [
        {"Id": "0", "MessageBody": "body of m0", "MessageAttributes": attributes},
        {"Id": "1", "MessageBody": "body of m1", "MessageAttributes": ANY},
    ]
    done = {"Id": "0", "MessageId": "new", "MD5OfMessageBody": "x"}
    failure = {"Id": "1", "SenderFault": False, "Code": "InternalError"}
    sqs.add_response(
        "send_message_batch",
        {"Successful": [done], "Failed": [failure]},
        {"QueueUrl": "https://dead", "Entries": entries},
    )
    first = replace(failed("m0", receives=10), first_receive_ms=1_795_593_600_000)
    assert images_queue.give_up([first, failed("m1", receives=10)]) == {"m0"}


def test_control_characters_and_length_never_stop_a_dead_letter() -> None:
    images_queue, sqs = queue()
    sqs.add_response(
        "send_message_batch",
        {"Successful": [{"Id": "0", "MessageId": "new", "MD5OfMessageBody": "x"}], "Failed": []},
        {"QueueUrl": "https://dead", "Entries": ANY},
    )
    sent: list[dict[str, Any]] = []
    images_queue._sqs.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch", lambda params, **_: sent.append(params)
    )
    message = FailedMessage("m0", "handle", 10, "body", "R" * 999, "a\x00b\n" * 999)
    assert images_queue.give_up([message]) == {"m0"}
    attributes = sent[0]["Entries"][0]["MessageAttributes"]
    assert len(attributes["reason"]["StringValue"]) == 256
    assert attributes["detail"]["StringValue"].startswith("a\ufffdb\ufffda")


def test_refused_dead_letters_are_left_to_sqs(caplog: pytest.LogCaptureFixture) -> None:
    images_queue, sqs = queue()
    sqs.add_client_error("send_message_batch", "AccessDenied", http_status_code=403)
    assert images_queue.give_up([failed("m0", receives=10)]) == set()
    assert "AccessDenied" in caplog.text


def test_a_known_pause_is_kept_and_spread() -> None:
    delays = {retry_seconds(1, 600.0) for _ in range(200)}
    assert 600 <= min(delays) < max(delays) <= 751


@pytest.mark.parametrize(
    ("receive_count", "least", "most"), [(1, 5, 10), (3, 20, 40), (9, 150, 300)]
)
def test_each_receive_doubles_the_delay_up_to_a_bound(
    receive_count: int, least: int, most: int
) -> None:
    delays = {retry_seconds(receive_count) for _ in range(200)}
    assert least <= min(delays) < max(delays) <= most
