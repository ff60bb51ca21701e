"""The bodies of the API's requests as values, and who sends them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.requests import InvalidRequestError, is_unicode
from imaging import DEFAULT_LIMITS
from pipeline.review import MAX_LABEL_CHARACTERS, Action, ReviewRequest

MAX_BODY_BYTES = 16 * 1024
INCOMING_PREFIX = "incoming/"
MAX_KEY_BYTES = 1024  # S3's limit
# The description has the same patterns (ECMA-262); a test compares them.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
TEXT_PATTERN = rf"^[^{_CONTROL}]+$"
# A label becomes a folder's name in a data set.
LABEL_PATTERN = rf"^[^\s/\\.{_CONTROL}]([^/\\{_CONTROL}]*[^\s/\\{_CONTROL}])?$"
# Names and folders, none of them hidden. S3 would put the file's own name in place of ${filename}.
_NAME = rf"[^/.{_CONTROL}][^/{_CONTROL}]*"
KEY_PATTERN = rf"^(?!.*\$\{{){_NAME}(/{_NAME})*$"


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """A photo to be dropped: its whole key, and its exact size in bytes."""

    key: str
    size_bytes: int


def caller(event: Mapping[str, Any]) -> str:
    """Returns the caller from API Gateway's own context: a verified address, a subject or an ARN.

    Raises:
        InvalidRequestError: API Gateway names no caller.
    """
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    # An issuer may let people type any address; only a verified one is theirs.
    is_verified = str(claims.get("email_verified", "")).lower() == "true"
    named = (claims.get("email") if is_verified else None) or claims.get("sub")
    name = named or (authorizer.get("iam") or {}).get("userArn")
    if not name:
        raise InvalidRequestError("the caller is not known: sign the request, or send a token")
    return str(name)


def review_request(event: Mapping[str, Any], now: str) -> ReviewRequest:
    """Reads the body of a review.

    Raises:
        InvalidRequestError: it is not one.
    """
    body = _fields(event, required={"action", "version"}, optional={"label"})
    try:
        action = Action(_text(body, "action"))
    except ValueError:
        raise InvalidRequestError(f"action must be one of {', '.join(Action)}") from None
    label = _label(body) if "label" in body else None
    if action is Action.CORRECT and label is None:
        raise InvalidRequestError("correct needs the right label")
    if label is not None and action not in (Action.CORRECT, Action.CONFIRM):
        raise InvalidRequestError(f"{action} takes no label")
    return ReviewRequest(action, _text(body, "version"), caller(event), now, label)


def upload_request(event: Mapping[str, Any]) -> UploadRequest:
    """Reads the body of a request for an upload form.

    Raises:
        InvalidRequestError: it is not one, or the photo would be rejected for its size.
    """
    body = _fields(event, required={"key", "bytes"}, optional=set())
    size = body["bytes"]
    if isinstance(size, float) and size.is_integer():  # 1.0 is a whole number in JSON
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidRequestError("bytes must be the photo's size, a whole number above zero")
    if size > DEFAULT_LIMITS.max_bytes:
        raise InvalidRequestError(
            f"the photo has {size} bytes, at most {DEFAULT_LIMITS.max_bytes} are classified"
        )
    name = _text(body, "key")
    if re.fullmatch(KEY_PATTERN[1:-1], name) is None:
        raise InvalidRequestError(
            "key must be a file name, with or without folders before it, none beginning with a dot"
        )
    key = INCOMING_PREFIX + name
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidRequestError(f"key must have at most {MAX_KEY_BYTES} bytes with its folder")
    return UploadRequest(key, size)


def _label(body: Mapping[str, Any]) -> str:
    label = _text(body, "label")
    if re.fullmatch(LABEL_PATTERN[1:-1], label) is None or len(label) > MAX_LABEL_CHARACTERS:
        raise InvalidRequestError(
            f"label must be a folder's name of at most {MAX_LABEL_CHARACTERS} characters"
        )
    return label


def _text(body: Mapping[str, Any], name: str) -> str:
    """Returns a text that S3 and DynamoDB can keep, without control characters."""
    value = body[name]
    if not isinstance(value, str) or not 0 < len(value) <= MAX_KEY_BYTES:
        raise InvalidRequestError(f"{name} must be text of 1 to {MAX_KEY_BYTES} characters")
    if re.fullmatch(TEXT_PATTERN[1:-1], value) is None or not is_unicode(value):
        raise InvalidRequestError(f"{name} must not have control characters")
    return value


def _fields(event: Mapping[str, Any], *, required: set[str], optional: set[str]) -> dict[str, Any]:
    text = event.get("body") or ""
    if len(text) > 2 * MAX_BODY_BYTES:
        raise InvalidRequestError(f"the body must have at most {MAX_BODY_BYTES} bytes")
    try:
        body = json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)
    except (ValueError, RecursionError):
        raise InvalidRequestError("the body must be JSON") from None
    if not isinstance(body, dict) or not required <= set(body) <= required | optional:
        names = ", ".join(sorted(required | optional))
        raise InvalidRequestError(f"the body must be an object with {names}")
    return body
