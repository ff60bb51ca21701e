"""The ASGI application: both services on one port, distinguished by path."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from localcloud.sagemaker.errors import ServiceError, unknown_operation
from localcloud.sagemaker.runtime import Invocation
from localcloud.sagemaker.service import Service

logger = logging.getLogger(__name__)

MAX_CONTROL_PLANE_BYTES = 4 * 1024 * 1024

Message = MutableMapping[str, Any]  # these four: ASGI's own types
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[str, str]


class ClientGoneError(Exception):
    """The caller closed the connection in the middle of the request."""


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
        try:
            status, headers, content = await self._answer(scope, receive, request_id)
        except ServiceError as error:
            status, headers, content = _error(scope, error)
        except ClientGoneError:
            return
        except Exception:
            logger.exception("bug in the stand-in for SageMaker")
            failure = ServiceError("InternalFailure", "bug in the local stand-in, see its log", 500)
            status, headers, content = _error(scope, failure)
        headers |= {"x-amzn-requestid": request_id, "content-length": str(len(content))}
        wire = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": wire})
        await send({"type": "http.response.body", "body": content})

    async def _answer(
        self, scope: Scope, receive: Receive, request_id: str
    ) -> tuple[int, Headers, bytes]:
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}

        async def read(max_bytes: int) -> bytes:
            return await _read(receive, max_bytes)

        match (scope["method"], *scope["path"].split("/")):
            case ("POST", "", ""):
                body = await read(MAX_CONTROL_PLANE_BYTES)
                content = await self._service.call(headers.get("x-amz-target", ""), body)
                return 200, {"content-type": "application/x-amz-json-1.1"}, content
            case ("POST", "", "endpoints", name, "invocations"):
                length = int(headers.get("content-length", "0"))  # 0: chunked, or empty
                invocation = Invocation(name, request_id, headers, length, read)
                return 200, *await self._service.runtime.invoke(invocation)
        raise unknown_operation(f"{scope['method']} {scope['path']}", 404)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    """Return the whole request body. uvicorn discards the rest of a larger one."""
    content, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        content += message.get("body", b"")
        more = message.get("more_body", False)
        if len(content) > max_bytes:
            raise ServiceError(None, f"HTTP content length exceeded {max_bytes} bytes.", 413)
    return bytes(content)


def _error(scope: Scope, error: ServiceError) -> tuple[int, Headers, bytes]:
    """Both services' errors: boto3 takes the code from ``__type`` or from the header."""
    if scope["path"] == "/":
        headers = {"content-type": "application/x-amz-json-1.1"}
        content = {"__type": error.code, "message": error.message, **error.fields}
    else:
        headers = {"content-type": "application/json"}
        if error.code is not None:
            headers["x-amzn-errortype"] = error.code
        content = {"message": error.message, "Message": error.message, **error.fields}
    return error.status, headers, json.dumps(content).encode()
