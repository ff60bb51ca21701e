"""The few words of ASGI that this application speaks.

Specification: https://asgi.readthedocs.io/en/latest/specs/www.html
No framework: three routes need none, and the archive has to run beside whichever version of
Starlette or FastAPI its host brings along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def header(scope: Scope, name: bytes) -> str:
    """A request header's value; empty when it is missing. `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


async def respond(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Send a complete JSON response."""
    standard = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    )
    start = {"type": "http.response.start", "status": status, "headers": [*standard, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
