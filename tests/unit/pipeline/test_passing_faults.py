"""Everything that a service does in a bad hour, through botocore itself: only the wire is made up.

The images' result: a retry, a bug, or an unused answer.
"""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.httpsession import URLLib3Session

from bulk.work_bucket import WorkBucket
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import InvalidAnswerError
from pipeline.errors import TransientError
from tests.fakes import SPEC, image_ref

ONCE = Config(retries={"total_max_attempts": 1})
URL = "https://service.test/"


class Raw(io.BytesIO):
    """A urllib3 response, as far as botocore looks at it."""

    def stream(self, **_: Any) -> Any:
        yield self.getvalue()


class BrokenStream(Raw):
    """A body whose connection breaks in the middle of it."""

    def read(self, *_: Any, **__: Any) -> bytes:
        raise ResponseStreamingError(error="reset")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sets the next answer or exception of the connection."""
    coming: list[Any] = []

    def send(_session: URLLib3Session, _request: Any) -> Any:
        found = coming.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(URLLib3Session, "send", send)
    return coming


def answer(status: int, body: bytes, raw: type[Raw] = Raw, **headers: str) -> AWSResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return AWSResponse(URL, status, {"content-length": str(len(body)), **named}, raw(body))


def json_error(status: int, code: str, **more: Any) -> AWSResponse:
    body = json.dumps({"__type": code, "message": "", **more}).encode()
    return answer(status, body, x_amzn_errortype=code)


def xml_error(status: int, code: str) -> AWSResponse:
    return answer(status, f"<Error><Code>{code}</Code><Message/></Error>".encode())


def model_error(status: int) -> AWSResponse:
    return json_error(424, "ModelError", OriginalStatusCode=status, OriginalMessage="")


def endpoint() -> ModelEndpoint:
    return ModelEndpoint(boto3.client("sagemaker-runtime", config=ONCE), "dogs")


NO_ANSWER = [
    EndpointConnectionError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
]


@pytest.mark.parametrize(
    "fault",
    [
        json_error(400, "ThrottlingException"),
        json_error(429, "SomethingNew"),  # by its status
        json_error(429, "ModelNotReadyException"),  # cold
        json_error(503, "ServiceUnavailable"),
        json_error(500, "InternalFailure"),
        json_error(530, "InternalDependencyException"),
        model_error(0),  # no answer within 60 s
        model_error(408),
        model_error(429),
        model_error(500),
        model_error(503),
        answer(502, b"<html>"),
        *NO_ANSWER,
        answer(200, b"[", BrokenStream),
    ],
    ids=lambda fault: (
        getattr(fault, "status_code", 0) and f"{fault.status_code}-{fault.content[:40]!r}"
        if not isinstance(fault, Exception) and not isinstance(fault.raw, BrokenStream)
        else type(fault).__name__
    ),
)
def test_an_endpoint_that_is_busy_cold_or_dead_is_asked_again_later(
    wire: list[Any], fault: Any
) -> None:
    wire.append(fault)
    with pytest.raises(TransientError):
        endpoint().classify(b"npy", SPEC, 1)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_request_that_the_container_refuses_is_a_bug(wire: list[Any], status: int) -> None:
    wire.append(model_error(status))
    with pytest.raises(ClientError):
        endpoint().classify(b"npy", SPEC, 1)


@pytest.mark.parametrize(
    "code", ["ValidationError", "AccessDeniedException", "UnrecognizedClientException"]
)
def test_a_missing_endpoint_or_permission_is_a_bug(wire: list[Any], code: str) -> None:
    wire.append(json_error(400, code))
    with pytest.raises(ClientError):
        endpoint().classify(b"npy", SPEC, 1)


ENTRY = {
    "label": "pug",
    "confidence": 0.5,
    "predictions": [{"label": "pug", "confidence": 0.5}],
    "model": "dogs@1",
}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"null",
        json.dumps([]).encode(),  # too few
        json.dumps([ENTRY] * 3).encode(),  # too many
        json.dumps([ENTRY, ENTRY | {"confidence": float("nan")}]).encode(),
        json.dumps([ENTRY, ENTRY | {"model": ""}]).encode(),
    ],
)
def test_an_answer_that_breaks_the_contract_is_not_taken(wire: list[Any], body: bytes) -> None:
    wire.append(answer(200, body))
    with pytest.raises(InvalidAnswerError):
        endpoint().classify(b"npy", SPEC, 2)


@pytest.mark.parametrize(
    "fault",
    [xml_error(503, "SlowDown"), xml_error(500, "InternalError"), answer(503, b""), *NO_ANSWER],
)
def test_a_bucket_that_slows_down_is_asked_again_later(wire: list[Any], fault: Any) -> None:
    wire.append(fault)
    with pytest.raises(TransientError):
        ImagesBucket(boto3.client("s3", config=ONCE)).read(image_ref("dog.jpg"))


def test_a_file_that_ends_too_early_is_read_again_and_not_rejected(wire: list[Any]) -> None:
    """Half a photo would be rejected as truncated, for ever."""
    wire.append(answer(200, b"half", content_length="8"))
    with pytest.raises(TransientError, match="IncompleteRead"):
        ImagesBucket(boto3.client("s3", config=ONCE)).read(image_ref("dog.jpg"))


def test_a_work_file_that_ends_too_early_is_read_again(wire: list[Any]) -> None:
    wire.append(answer(200, b"half", content_length="8"))
    with pytest.raises(TransientError, match="IncompleteRead"):
        WorkBucket(boto3.client("s3", config=ONCE), "work").read("work/run/run.json")


def test_an_event_of_a_bucket_that_the_role_may_not_read_is_a_bug(wire: list[Any]) -> None:
    wire.append(xml_error(403, "AccessDenied"))
    with pytest.raises(ClientError):
        ImagesBucket(boto3.client("s3", config=ONCE)).read(image_ref("dog.jpg"))


@pytest.mark.parametrize(
    "fault",
    [
        json_error(400, "ProvisionedThroughputExceededException"),
        json_error(400, "ThrottlingException"),
        json_error(400, "RequestLimitExceeded"),
        json_error(500, "InternalServerError"),
        *NO_ANSWER,
    ],
)
def test_a_table_that_is_throttled_is_written_again_later(wire: list[Any], fault: Any) -> None:
    wire.append(fault)
    with pytest.raises(TransientError):
        PredictionsTable(boto3.client("dynamodb", config=ONCE), "t").get("s3://bucket/key")
