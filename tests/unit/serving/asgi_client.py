"""Speaks ASGI to the endpoint, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.serving.app import Application, Limits, create_app


@dataclass(frozen=True, slots=True)
class Response:
    """A response over ASGI."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error_code(self) -> str:
        return str(self.json()["error"]["code"])


@asynccontextmanager
async def running(app: Application) -> AsyncIterator[Application]:
    """The application between its host's start and stop messages."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    await inbox.put({"type": "lifespan.startup"})
    life = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    started = await outbox.get()
    assert started == {"type": "lifespan.startup.complete"}, started
    try:
        yield app
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await life
    assert await outbox.get() == {"type": "lifespan.shutdown.complete"}


async def call(
    app: Application,
    method: str,
    path: str,
    *,
    content_type: str = "",
    body: bytes = b"",
    chunks: Iterable[bytes] | None = None,
) -> Response:
    """One request; `chunks` send the body without announcing its length."""
    headers = [(b"content-type", content_type.encode())]
    if chunks is None:
        headers.append((b"content-length", str(len(body)).encode()))
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks or [body]
    ]
    waiting[-1]["more_body"] = False
    sent: list[Any] = []
    connected_for_ever = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await connected_for_ever.wait()
        raise AssertionError("this event is never set")

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    return Response(
        sent[0]["status"],
        {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


def ask(
    archive: Path,
    method: str,
    path: str,
    *,
    limits: Limits | None = None,
    **request: Any,
) -> Response:
    """Start the endpoint, send it one request, stop it."""

    async def one_request() -> Response:
        app = create_app(archive) if limits is None else Application(archive, limits)
        async with running(app):
            return await call(app, method, path, **request)

    return asyncio.run(one_request())
