"""The ASGI application: both services on one port, told apart by path."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncIterator

from localcloud.sagemaker.container_client import Upload
from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.runtime import INSTANCE_PAYLOAD_BYTES, Invocation
from localcloud.sagemaker.service import Service
from model.serving.asgi import Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

MAX_CONTROL_PLANE_BYTES = 4 * 1024 * 1024

Headers = list[tuple[bytes, bytes]]


class ClientGoneError(Exception):
    """The caller hung up in the middle of the request."""


class Application:
    """``POST /`` is the control plane, ``POST /endpoints/NAME/invocations`` the runtime."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._service.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = str(uuid.uuid4())
        body = _Body(receive)
        try:
            status, headers, content = await self._answer(scope, body, request_id)
        except ServiceError as error:
            status, headers, content = _error(scope, error)
        except ClientGoneError:
            return
        except Exception:
            logger.exception("bug in the stand-in for SageMaker")
            failure = ServiceError("InternalFailure", "bug in the local stand-in, see its log", 500)
            status, headers, content = _error(scope, failure)
        headers.append((b"x-amzn-requestid", request_id.encode()))
        headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(
        self, scope: Scope, body: _Body, request_id: str
    ) -> tuple[int, Headers, bytes | bytearray]:
        path: str = scope["path"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if path == "/" and scope["method"] == "POST":
            target = headers.get(b"x-amz-target", b"").decode("latin-1")
            content = await self._service.control_plane.call(
                target, await body.read(MAX_CONTROL_PLANE_BYTES)
            )
            return 200, [(b"content-type", b"application/x-amz-json-1.1")], content
        match path.split("/"):
            case ["", "endpoints", name, "invocations"] if scope["method"] == "POST":
                invocation = await _invocation(name, request_id, headers, body)
                known = self._service.endpoint_exists(name)
                return 200, *await self._service.runtime.invoke(invocation, known=known)
        raise ServiceError(
            "UnknownOperationException",
            f"Not emulated by the local stand-in for SageMaker: {scope['method']} {path}",
            404,
        )


class _Body:
    """A request body that can be streamed or read. uvicorn throws away what is left of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._more:
            message: Message = await self._receive()
            if message["type"] == "http.disconnect":
                self._more = False
                raise ClientGoneError
            self._more = message.get("more_body", False)
            yield message.get("body", b"")

    async def read(self, max_bytes: int) -> bytes:
        content = bytearray()
        async for chunk in self:
            content += chunk
            if len(content) > max_bytes:
                raise ServiceError(None, f"HTTP content length exceeded {max_bytes} bytes.", 413)
        return bytes(content)


async def _invocation(
    name: str, request_id: str, headers: dict[bytes, bytes], body: _Body
) -> Invocation:
    length = headers.get(b"content-length")
    if length is not None:
        return Invocation(name, request_id, headers, Upload(body, int(length)))
    # Chunked: the container is told the length, so the (limited) body is gathered first.
    content = await body.read(INSTANCE_PAYLOAD_BYTES)
    return Invocation(name, request_id, headers, Upload(_once(content), len(content)))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _error(scope: Scope, error: ServiceError) -> tuple[int, Headers, bytes]:
    """Both services' errors: boto3 takes the code from ``__type`` or from the header."""
    headers: Headers = [(b"content-type", b"application/x-amz-json-1.1")]
    if scope["path"] == "/":
        content = {"__type": error.code, "message": error.message, **error.fields}
    else:
        headers = [(b"content-type", b"application/json")]
        if error.code is not None:
            headers.append((b"x-amzn-errortype", error.code.encode()))
        content = {"message": error.message, "Message": error.message, **error.fields}
    return error.status, headers, json.dumps(content).encode()
