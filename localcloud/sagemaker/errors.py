"""Errors as SageMaker's two services put them on the wire."""

from __future__ import annotations

from typing import Any

NOT_EMULATED = "Not emulated by the local stand-in for SageMaker"


class ServiceError(Exception):
    """An error that the caller of the service sees.

    ``code`` is what boto3 shows as ``Error.Code``; None leaves it out, and boto3 then shows the
    HTTP status (this is how SageMaker answers 413). ``fields`` are further members of the body.
    """

    def __init__(self, code: str | None, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def validation_exception(message: str) -> ServiceError:
    """The control plane's answer to an invalid request."""
    return ServiceError("ValidationException", message)


def not_emulated(what: str) -> ServiceError:
    """The answer to a request that SageMaker would accept and the stand-in does not implement."""
    return validation_exception(f"{NOT_EMULATED}: {what}")


def unknown_operation(operation: str, status: int = 400) -> ServiceError:
    """The answer to an operation that the stand-in does not implement."""
    return ServiceError("UnknownOperationException", f"{NOT_EMULATED}: {operation}", status)
