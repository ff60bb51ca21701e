"""Reading a request's body, within limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model.serving.asgi import Receive, Scope, header
from model.serving.refusals import Refusal, overloaded

MAX_LENGTH_DIGITS = 18


class ClientGone(Exception):  # noqa: N818 - an event, not a fault
    """The client closed the connection; nobody waits for an answer any more."""


class MemoryBudget:
    """What all requests in flight may hold together, in bytes.

    Requests beyond it are refused, not queued: the caller can try elsewhere or later, and the
    process stays as small as promised.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0

    @contextmanager
    def held(self, size_bytes: int) -> Iterator[None]:
        """Hold `size_bytes` for the length of a request.

        Raises:
            Refusal: 503 when that would be too much.
        """
        if self._held_bytes + size_bytes > self._limit_bytes:
            raise overloaded()
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes


def announced_bytes(scope: Scope, limit_bytes: int) -> int:
    """The body's length by its header; the limit where the body comes in chunks.

    Raises:
        Refusal: 413 when more than the limit is announced.
    """
    announced = header(scope, b"content-length")
    # ASCII: "²" is a digit too, but no number. And int() does not take digits without end.
    if not (announced.isascii() and announced.isdigit()):
        return limit_bytes
    if len(announced) > MAX_LENGTH_DIGITS or int(announced) > limit_bytes:
        raise too_large(limit_bytes)
    return int(announced)


async def read_body(receive: Receive, capacity_bytes: int) -> bytearray:
    """The whole body, in one block that never has to grow.

    Raises:
        Refusal: 413 when more than the capacity comes.
        ClientGone: the client left before the end.
    """
    body = bytearray(capacity_bytes)
    filled = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        if filled + len(chunk) > capacity_bytes:
            raise too_large(capacity_bytes)
        body[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
        more = message.get("more_body", False)
    del body[filled:]
    return body


def too_large(limit_bytes: int) -> Refusal:
    """413."""
    return Refusal(413, "too_large", f"the body is larger than {limit_bytes} bytes")
