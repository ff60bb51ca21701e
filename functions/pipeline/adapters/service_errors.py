"""Which of botocore's errors may pass by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from pipeline.errors import TransientError

# Codes of S3, DynamoDB and SageMaker Runtime that a later try can outlive; any 5xx is one too.
TRANSIENT_CODES = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "ModelNotReadyException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
    }
)


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def transient_errors_named() -> Iterator[None]:
    """Raises ``TransientError`` instead of botocore's own; what is no passing fault stays."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in TRANSIENT_CODES or http_status(error) >= 500:
            raise TransientError(code, str(error)) from error
        raise
    except (ConnectionError, HTTPClientError) as error:
        raise TransientError(type(error).__name__, str(error)) from error
