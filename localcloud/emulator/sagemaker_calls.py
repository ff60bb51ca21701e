"""Calls of the SageMaker stand-in, which is another process: JSON 1.1 over loopback."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_SAGEMAKER"
CALL_TIMEOUT_SECONDS = 60.0
NO_ANSWER = "NoAnswer"  # the code of a call without an answer


class SageMakerError(ValueError):
    """The stand-in refused a call or is not there, or the resource failed."""

    def __init__(self, message: str, *, code: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail or message


def call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Make one call and return its answer.

    Raises:
        SageMakerError: the stand-in answered with an error, or is not there.
    """
    http_request = urllib.request.Request(  # noqa: S310 - the URL is ours, on loopback
        os.environ[ENDPOINT_VARIABLE],
        data=json.dumps(request).encode(),
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"SageMaker.{operation}",
        },
    )
    try:
        with _opener.open(http_request, timeout=CALL_TIMEOUT_SECONDS) as response:
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
            return answer
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        code, detail = _code_and_message(text)
        raise SageMakerError(f"{operation}: {text}", code=code, detail=detail) from error
    except OSError as error:
        raise SageMakerError(
            f"{operation}: no answer from the SageMaker stand-in: {error}", code=NO_ANSWER
        ) from error


def call_unless_gone(operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """As `call`; None where SageMaker says `Could not find …` (its way of saying 404)."""
    try:
        return call(operation, request)
    except SageMakerError as error:
        if "Could not find" in str(error):
            return None
        raise


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy


def _code_and_message(text: str) -> tuple[str, str]:
    """Code and message of an error's body."""
    try:
        error = json.loads(text)
        return str(error["__type"]), str(error.get("message", ""))
    except (ValueError, TypeError, KeyError):
        return "", text
