"""A stand-in for an issuer of tokens, and the stack's own host of the page in front of the API.

The host serves the page with the function's real handler, and lets calls of the API pass only with
a token of the issuer, as API Gateway does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from handlers import api_page
from tests.page.stand_in import StandIn, handler_of

CLIENT = "page-client"
OPEN_PATHS = ("/", "/host.json")


def url_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class Issuer:
    """What it was asked, and the tokens that it gave."""

    url: str = ""
    lifetime_seconds: int = 3600
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def description(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Returns the address to which the user's browser goes back, signed in."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}?{back}"

    def token(self, asked: dict[str, str]) -> dict[str, str] | None:
        """Returns tokens for a code and its verifier; None when they do not belong together."""
        if asked["grant_type"] == "authorization_code":
            given = self.codes.pop(asked["code"], None)
            digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
            if given is None or given["code_challenge"] != url_text(digest):
                self.refusals.append("a code without its verifier, or used before")
                return None
        claims = {"sub": "1", "email": "alice@example.com", "exp": time.time()}
        claims["exp"] = time.time() + self.lifetime_seconds
        parts = [json.dumps(each).encode() for each in ({"alg": "none"}, claims)]
        token = ".".join(map(url_text, [*parts, secrets.token_bytes(8)]))
        self.tokens.append(token)
        return {"id_token": token, "refresh_token": secrets.token_urlsafe()}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def log_message(self, format: str, *arguments: object) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/authorize":
            self.send_response(302)
            self.send_header("location", self.issuer.authorize(dict(parse_qsl(url.query))))
            self.end_headers()
            return
        self._reply(200, self.issuer.description())

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"])).decode()
        answer = self.issuer.token(dict(parse_qsl(content)))
        self._reply(400 if answer is None else 200, answer or {"error": "invalid_grant"})

    def _reply(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


def stack_handler(api: StandIn, issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    resolver = APIGatewayHttpResolver()
    resolver.include_router(api_page.router)
    # Powertools keeps the event in an attribute of a class, for an instance of Lambda has one at a
    # time. Two threads here would answer each other's.
    one_at_a_time = threading.Lock()
    parent: Any = handler_of(api)

    class Handler(parent):  # type: ignore[misc]  # made by a function
        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            path = urlsplit(self.path).path
            if path in OPEN_PATHS or path.startswith("/page/"):
                self.serve_page(path)
                return False
            scheme, _, token = self.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or token not in issuer.tokens:
                self.reply(401, "application/json", b'{"message": "Unauthorized"}')
                return False
            self.path = self.path.removeprefix("/api")
            return True

        def serve_page(self, path: str) -> None:
            event = {
                "version": "2.0",
                "rawPath": path,
                "rawQueryString": "",
                "headers": {},
                "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default"},
                "isBase64Encoded": False,
            }
            with one_at_a_time:
                answer = resolver.resolve(event, None)  # type: ignore[arg-type]
            body = answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Serves an issuer on a free port of the loopback interface."""
    issuer = Issuer()
    handler = type("Handler", (_Handler,), {"issuer": issuer})
    with _serving(handler) as issuer.url:
        yield issuer


@contextmanager
def signed_in_host(api: StandIn, issuer: Issuer) -> Iterator[str]:
    """Serves the page and the API as the stack does; yields the page's address."""
    with _serving(stack_handler(api, issuer)) as url:
        yield f"{url}/"
