"""The loopback server: the page's files, and its calls, passed on to the stack's API.

- ``/TOKEN/``: the page
- ``/TOKEN/page/NAME``: its scripts and styles
- ``/TOKEN/host.json``: where it is, and what an image costs there
- ``/TOKEN/api/...``: the stack's API, signed with the user's credentials
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from imagedrop.errors import UserError
from imagedrop.page.signed_api import SignedApi, UnreachableError
from imagedrop.page.visitors import Doorkeeper, Refusal
from page.files import read_page_file

API = "api/"
HOST_FACTS = "host.json"
# A review or a request for an upload form has a few hundred bytes; photos do not come this way.
MAX_REQUEST_BYTES = 64 * 1024
METHODS = ("GET", "HEAD", "POST", "PUT")
# Encoded characters stay encoded, and no part of a path may climb.
_API_PATH = re.compile(r"(?!.*\.\.)[A-Za-z0-9._~%/-]*")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: dict[str, str]
    content: bytes


def _problem(status: int, title: str, detail: str) -> _Reply:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = {"content-type": "application/problem+json", "cache-control": "no-store"}
    return _Reply(status, headers, json.dumps(body).encode())


def _file(content: bytes, content_type: str, etag: str, headers: Mapping[str, str]) -> _Reply:
    known = {"content-type": content_type, "etag": etag, "cache-control": "no-cache"}
    if headers.get("if-none-match") == etag:
        return _Reply(304, known, b"")
    return _Reply(200, known, content)


@dataclass(frozen=True, slots=True)
class PageServer:
    """An ASGI application for HTTP; uvicorn runs it without lifespan and websockets.

    Attributes:
        protection: headers of every answer.
        host_facts: what ``host.json`` holds.
    """

    doorkeeper: Doorkeeper
    api: SignedApi
    protection: Mapping[str, str]
    host_facts: Mapping[str, Any]

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        reply = await self._reply(scope, headers, receive)
        sent = {**reply.headers, **self.protection}
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [
                    (name.lower().encode(), value.encode()) for name, value in sent.items()
                ],
            }
        )
        body = b"" if scope["method"] == "HEAD" else reply.content
        await send({"type": "http.response.body", "body": body})

    async def _reply(
        self, scope: Mapping[str, Any], headers: Mapping[str, str], receive: Receive
    ) -> _Reply:
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        admitted = self.doorkeeper.admit(method, path, headers)
        if isinstance(admitted, Refusal):
            return _problem(admitted.status, "Refused", admitted.detail)
        if method not in METHODS:
            return _problem(405, "Method not allowed", f"{method} is not used here.")
        if admitted.startswith(API):
            query = scope["query_string"].decode("latin-1")
            return await self._pass_on(method, admitted.removeprefix(API), query, headers, receive)
        if admitted == HOST_FACTS:
            facts = json.dumps(self.host_facts).encode()
            return _Reply(200, {"content-type": "application/json"}, facts)
        file = read_page_file(admitted)
        if file is None:
            return _problem(404, "Not found", "The page has no such file.")
        return _file(file.content, file.content_type, file.etag, headers)

    async def _pass_on(
        self, method: str, path: str, query: str, headers: Mapping[str, str], receive: Receive
    ) -> _Reply:
        if not _API_PATH.fullmatch(path):
            return _problem(400, "Bad path", "The API has no such path.")
        content = await _body(receive)
        if content is None:
            return _problem(413, "Too large", f"A call has at most {MAX_REQUEST_BYTES} bytes.")
        try:
            answer = await self.api.call(method, path, query, headers, content)
        except UnreachableError as error:
            return _problem(502, "The stack does not answer", str(error))
        except UserError as error:
            return _problem(502, str(error), error.next_step)
        return _Reply(answer.status, answer.headers, answer.content)


async def _body(receive: Receive) -> bytes | None:
    """Returns the body of a request; None when it is too long."""
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if len(content) > MAX_REQUEST_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(content)
