"""One HTTP request under ASGI: its type, its body within limits, its response or error.

Specification: https://asgi.readthedocs.io/en/latest/specs/www.html
No framework: three routes need none, and the archive must run beside any version of Starlette or
FastAPI that its host brings.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from imaging.webp_batch import MEDIA_TYPE as WEBP_BATCH

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NPY = "application/x-npy"
PIXELS = (NPY, WEBP_BATCH)
"""Prepared images, whose spec the content type names."""
IMAGES = frozenset(
    {
        "image/jpeg",
        "image/jpg",  # not a registered type, but many clients send it
        "image/png",
        "image/webp",
        "image/avif",
        "image/heic",
        "image/heif",
        "image/bmp",
        "application/x-image",
    }
)
ACCEPTED = (*PIXELS, *sorted(IMAGES))
MAX_LENGTH_DIGITS = 18


class ClientGoneError(Exception):
    """The client closed the connection, so no answer is needed."""


class RefusalError(Exception):
    """A request that gets an error of the contract instead of an answer.

    Attributes:
        status: HTTP status.
        code: stable name for programs; a ``RejectReason`` value where an image was rejected.
        details: further members of the ``error`` object.
        retry_after_seconds: after how long a retry may succeed; None if it never will.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.retry_after_seconds = retry_after_seconds

    def body(self) -> bytes:
        """Returns ``{"error": {"code": …, "message": …}}`` as JSON."""
        error = {"code": self.code, "message": self.message, **self.details}
        return json.dumps({"error": error}, separators=(",", ":")).encode()


class ImageRejectedError(RefusalError):
    """The body cannot be classified as an image; ``code`` is the reason."""

    def __init__(self, status: int, code: str, message: str, image: Mapping[str, object]) -> None:
        super().__init__(status, code, message)
        self.image = image

    def as_entry(self) -> bytes:
        """Returns the refusal as an answer's only entry, for a caller that needs a 2xx status."""
        error = {"code": self.code, "message": self.message}
        return json.dumps([{"error": error, "image": self.image}], separators=(",", ":")).encode()


class MemoryBudget:
    """Limits the bytes that all requests in flight hold together.

    Requests beyond the limit are refused, not queued: the caller can retry elsewhere or later,
    and the process keeps its size.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0

    @contextmanager
    def held(self, size_bytes: int) -> Iterator[None]:
        """Reserves `size_bytes` for the length of a request; RefusalError 503 if there are none."""
        if self._held_bytes + size_bytes > self._limit_bytes:
            message = "more requests are waiting than the endpoint can hold"
            raise RefusalError(503, "overloaded", message, retry_after_seconds=1)
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes


def header(scope: Scope, name: bytes) -> str:
    """Returns a request header's value, empty if it is missing; `name` is in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


def parse_content_type(value: str) -> tuple[str, str | None]:
    """Returns the media type in lower case, and its ``spec`` parameter if it has one.

    Other parameters are ignored, such as the ``charset=utf-8`` that HTTP clients add.
    """
    return value.partition(";")[0].strip().lower(), _parameter(value, "spec")


def label_to_explain(content_type: str) -> str | None:
    """Returns the ``explain`` parameter (percent-encoded UTF-8); None for predictions."""
    encoded = _parameter(content_type, "explain")
    return None if encoded is None else unquote(encoded)


def _parameter(content_type: str, wanted: str) -> str | None:
    found = None
    for parameter in content_type.split(";")[1:]:
        name, _, given = parameter.partition("=")
        if name.strip().lower() == wanted:
            found = given.strip().strip('"')
    return found


def announced_bytes(scope: Scope, limit_bytes: int) -> int:
    """Returns the body's length by its header, or the limit when the body comes in chunks.

    Raises:
        RefusalError: 413 when more than the limit is announced.
    """
    announced = header(scope, b"content-length")
    # "²" is a digit too, but not ASCII; and int() must not parse digits without end.
    if not (announced.isascii() and announced.isdigit()):
        return limit_bytes
    if len(announced) > MAX_LENGTH_DIGITS or int(announced) > limit_bytes:
        raise _too_large(limit_bytes)
    return int(announced)


async def read_body(receive: Receive, capacity_bytes: int) -> bytearray:
    """Reads the whole body into one block that never grows.

    Raises:
        RefusalError: 413 when the body is larger than the capacity.
        ClientGoneError: the client left before the end.
    """
    body = bytearray(capacity_bytes)
    filled = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        if filled + len(chunk) > capacity_bytes:
            raise _too_large(capacity_bytes)
        body[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
        more = message.get("more_body", False)
    del body[filled:]
    return body


async def while_connected(answer: Coroutine[Any, Any, bytes], receive: Receive) -> bytes:
    """Awaits the answer, and cancels it when the client leaves.

    Raises:
        ClientGoneError: the client left.
    """
    work = asyncio.ensure_future(answer)
    departure = asyncio.ensure_future(_departure(receive))
    try:
        await asyncio.wait({work, departure}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGoneError
        return work.result()
    finally:
        departure.cancel()
        work.cancel()


async def respond(
    send: Send, status: int, body: bytes, retry_after_seconds: int | None = None
) -> None:
    """Sends a complete JSON response."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if retry_after_seconds is not None:
        headers.append((b"retry-after", str(retry_after_seconds).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _too_large(limit_bytes: int) -> RefusalError:
    return RefusalError(413, "too_large", f"the body is larger than {limit_bytes} bytes")


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
