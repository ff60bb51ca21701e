"""HTTP/1.1 to a serving container: kept-alive connections, streamed request bodies.

Small on purpose: every invocation passes through here, and a general client costs several times
the CPU of the rest of the proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

Headers = Sequence[tuple[bytes, bytes]]
# uvicorn closes a connection after 5 idle seconds: do not race it.
MAX_IDLE_SECONDS = 4.0


class ContainerConnectionError(Exception):
    """The container closed the connection, or there was none to be had."""


class ContainerAnswerTooLargeError(Exception):
    """The container's answer exceeds what the caller accepts."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A request body: its chunks as they come, and its length in bytes."""

    chunks: AsyncIterable[bytes]
    length: int


@dataclass(slots=True)
class Answer:
    """A complete answer; header names are in lower case."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._answer = Answer()
        self._done: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._max_answer_bytes = 0
        self.reusable = True
        self.idle_since = 0.0

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ContainerConnectionError(f"not an HTTP answer: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._writable.set()
        self._fail(ContainerConnectionError(str(exc) if exc else "connection closed"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # httptools callbacks
    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._answer.body += body
        if len(self._answer.body) > self._max_answer_bytes:
            self._fail(ContainerAnswerTooLargeError(f"more than {self._max_answer_bytes} bytes"))

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._answer.status < 200:  # 100 Continue and its like precede the answer
            self._answer = Answer()
            return
        self.reusable = self.reusable and self._parser.should_keep_alive()
        if self._done is not None and not self._done.done():
            self._done.set_result(self._answer)

    # one request
    async def request(self, head: bytes, body: Upload | None, max_answer_bytes: int) -> Answer:
        transport = self._transport
        if transport is None:
            raise ContainerConnectionError("not connected")
        self._answer, self._max_answer_bytes = Answer(), max_answer_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._done = self._loop.create_future()
        transport.write(head)
        if body is not None:
            await self._send(transport, body.chunks, self._done)
        return await self._done

    async def _send(
        self,
        transport: asyncio.Transport,
        body: AsyncIterable[bytes],
        done: asyncio.Future[Answer],
    ) -> None:
        async for chunk in body:
            if done.done():  # answered (or lost) early: the rest of the body is not wanted
                self.reusable = False
                return
            transport.write(chunk)
            if not self._writable.is_set():
                await self._writable.wait()

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)
            self._done.exception()  # the waiting side may have been cancelled


class ContainerClient:
    """Requests to one container on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []
        self._host = f"host: 127.0.0.1:{port}\r\n".encode()

    async def request(
        self,
        method_and_path: bytes,
        *,
        headers: Headers = (),
        body: Upload | None = None,
        max_answer_bytes: int,
        timeout_seconds: float,
    ) -> Answer:
        """Send one request and wait for the whole answer.

        ``method_and_path`` is e.g. ``b"GET /ping"``. Raises ``ContainerConnectionError``,
        ``ContainerAnswerTooLargeError``, ``TimeoutError``, and whatever ``body`` raises.
        """
        head = self._head(method_and_path, headers, body.length if body else 0)
        async with asyncio.timeout(timeout_seconds):
            connection = await self._connection()
            try:
                answer = await connection.request(head, body, max_answer_bytes)
            except BaseException:
                connection.close()  # in the middle of a message: of no use to anybody else
                raise
        if connection.reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Drop every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def _head(self, method_and_path: bytes, headers: Headers, content_length: int) -> bytes:
        lines = [method_and_path, b" HTTP/1.1\r\n", self._host]
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % content_length)
        return b"".join(lines)

    async def _connection(self) -> _Connection:
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and loop.time() - connection.idle_since < MAX_IDLE_SECONDS:
                return connection
            connection.close()
        try:
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        except OSError as error:
            raise ContainerConnectionError(str(error)) from error
        return connection
