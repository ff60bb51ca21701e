"""Which of botocore's errors are transient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

from pipeline.errors import TransientError

# Codes of S3, DynamoDB and SageMaker Runtime that are worth a retry, besides any 5xx or 429.
# botocore retries the same ones (botocore/retries/standard.py).
TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "ModelNotReadyException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
    }
)
TOO_MANY_REQUESTS = 429


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def reason_of(error: Exception) -> str:
    """Returns the service's error code if there is one, else the error's class name."""
    if isinstance(error, TransientError):
        return error.code
    code = error_code(error) if isinstance(error, ClientError) else ""
    return code or type(error).__name__


def http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turns botocore's transient errors into ``TransientError``; other errors pass through."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        status = http_status(error)
        if code in TRANSIENT_CODES or status >= 500 or status == TOO_MANY_REQUESTS:
            raise TransientError(code, str(error)) from error
        raise
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise TransientError(type(error).__name__, str(error)) from error
