"""Errors as SageMaker's two services put them on the wire."""

from __future__ import annotations

from typing import Any


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
    """The control plane's answer to a request that cannot be done as it stands."""
    return ServiceError("ValidationException", message)


def not_emulated(what: str) -> ServiceError:
    """SageMaker knows this, the stand-in does not: say so instead of doing something else."""
    return validation_exception(f"Not emulated by the local stand-in for SageMaker: {what}")
