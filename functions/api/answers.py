"""The API's answers as values: problems (RFC 9457), and answers that a caller already has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

PROBLEM_TYPE = "application/problem+json"
# No part of an answer may be executed, wherever it is opened.
ALWAYS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
REVALIDATE = "private, no-cache"


class ApiProblem(Exception):  # noqa: N818 - it is the answer, whatever its status
    """An answer other than the one that was asked for; ``detail`` is for people."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def problem_json(status: int, detail: str) -> str:
    """Returns the body of a problem, RFC 9457."""
    title = HTTPStatus(status).phrase
    return json.dumps(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        ensure_ascii=False,
    )


def etag_of(*parts: str) -> str:
    """Returns an entity tag that is equal for equal texts."""
    return f'"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"'


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Returns whether the caller's ``If-None-Match`` names this tag (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    tags = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return etag in tags or "*" in tags


def finished(answer: dict[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the headers of every answer; 304 without a body if the caller has this answer already.

    Args:
        answer: a response as Lambda returns it to API Gateway.
        event: the request.
    """
    headers = ALWAYS | {"Cache-Control": REVALIDATE} | answer["headers"]
    finished_answer = answer | {"headers": headers}
    if answer["statusCode"] != HTTPStatus.OK or _method(event) != "GET":
        return finished_answer
    headers.setdefault("ETag", etag_of(answer["body"]))
    if not is_known(headers["ETag"], if_none_match(event)):
        return finished_answer
    headers.pop("Content-Type", None)
    return {"statusCode": 304, "headers": headers, "body": "", "isBase64Encoded": False}


def if_none_match(event: Mapping[str, Any]) -> str | None:
    """Returns the request's header; API Gateway writes the names of headers in lower case."""
    for name, value in (event.get("headers") or {}).items():
        if name.lower() == "if-none-match":
            return str(value)
    return None


def _method(event: Mapping[str, Any]) -> str:
    return str(event["requestContext"]["http"]["method"])
