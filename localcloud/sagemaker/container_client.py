"""HTTP requests to a serving container on loopback, with connections that are kept open."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

# uvicorn closes a connection after 5 idle seconds: close it earlier from this side.
MAX_IDLE_SECONDS = 4.0


class ContainerConnectionError(Exception):
    """The container closed the connection, or did not accept one."""


class ContainerAnswerTooLargeError(Exception):
    """The container's answer exceeds what the caller accepts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ContainerClient:
    """Requests to the one container that listens on ``port``."""

    def __init__(self, port: int) -> None:
        self._client = httpx.AsyncClient(  # nosec B113
            base_url=f"http://127.0.0.1:{port}",
            timeout=None,  # noqa: S113 - every request has one timeout for all of its steps
            limits=httpx.Limits(keepalive_expiry=MAX_IDLE_SECONDS),
            trust_env=False,  # no proxy, no .netrc
            # Plain HTTP on loopback: an empty context saves loading certificates.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        # httpx adds Accept, Accept-Encoding and User-Agent; the container gets the caller's only.
        self._client.headers.clear()

    async def request(
        self,
        method_and_path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_answer_bytes: int,
        timeout_seconds: float,
    ) -> Answer:
        """Send one request, such as ``GET /ping``, and return the whole answer.

        Raises:
            ContainerConnectionError: the container is not there, or closed the connection.
            ContainerAnswerTooLargeError: its answer has more than ``max_answer_bytes``.
            TimeoutError: the answer was not complete after ``timeout_seconds``.
        """
        method, path = method_and_path.split(" ")
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self._client.stream(method, path, headers=headers, content=body) as response,
            ):
                content = await _read(response, max_answer_bytes)
        except httpx.TransportError as error:
            raise ContainerConnectionError(str(error)) from error
        return Answer(response.status_code, response.headers, content)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > max_bytes:
            raise ContainerAnswerTooLargeError(f"more than {max_bytes} bytes")
    return bytes(content)
