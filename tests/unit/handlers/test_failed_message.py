"""The reason that a dead letter states for its failure."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import reason_of
from pipeline.answers import InvalidAnswerError
from pipeline.errors import TransientError
from pipeline.retries import failed_message
from tests.s3_events import queue_event


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransientError("SlowDown", "busy"), "SlowDown"),
        (InvalidAnswerError("no JSON"), "InvalidAnswerError"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject"), "AccessDenied"),
        (ClientError({}, "GetObject"), "ClientError"),
    ],
)
def test_the_reason_is_the_services_code_or_the_errors_class(error: Exception, reason: str) -> None:
    (message,) = queue_event("body")["Records"]
    assert failed_message(message, error, reason_of(error)).reason == reason


def test_the_first_receive_is_kept_if_sqs_gives_it() -> None:
    (message,) = queue_event("body")["Records"]
    assert failed_message(message, RuntimeError(), "RuntimeError").first_receive_ms == 0
    message["attributes"]["ApproximateFirstReceiveTimestamp"] = "1795593600000"
    assert (
        failed_message(message, RuntimeError(), "RuntimeError").first_receive_ms
        == 1_795_593_600_000
    )
