"""A container registry on loopback, as strict as Amazon ECR where the difference matters."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "anonymous-token"


@dataclass
class Store:
    """The content and the behaviour of the registry."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    uploaded: list[str] = field(default_factory=list)
    # Where it differs from a registry that lets everybody do everything.
    needs_token: bool = False
    password: str | None = None
    blobs_are_elsewhere: bool = False
    seen_elsewhere: list[str | None] = field(default_factory=list)
    tags_are_immutable: bool = True
    refused_methods: frozenset[str] = frozenset()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _is_refused(self) -> bool:
        given = self.headers.get("Authorization")
        store = self.store
        if self.command in store.refused_methods:
            self._answer(403, b'{"errors":[{"code":"DENIED"}]}')
            return True
        if store.needs_token and given != f"Bearer {TOKEN}":
            host = self.headers["Host"]
            challenge = f'Bearer realm="http://{host}/token/",service="here",scope="pull"'
            self._answer(401, WWW_Authenticate=challenge)
            return True
        if store.password is not None and given != f"Basic {store.password}":
            self._answer(401, WWW_Authenticate='Basic realm="here"')
            return True
        return False

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/token/":
            self._answer(200, b'{"token":"%s"}' % TOKEN.encode())
        elif path.startswith("/elsewhere/"):
            self.store.seen_elsewhere.append(self.headers.get("Authorization"))
            self._answer(200, self.store.blobs[path.rpartition("/")[2]])
        elif not self._is_refused():
            self._read(path)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _read(self, path: str) -> None:
        kind, reference = path.split("/")[-2:]
        if kind == "manifests" and reference in self.store.manifests:
            media_type, content = self.store.manifests[reference]
            self._answer(200, content, Content_Type=media_type)
        elif kind == "blobs" and reference in self.store.blobs:
            if self.store.blobs_are_elsewhere and self.command == "GET":
                port = self.headers["Host"].rpartition(":")[2]
                self._answer(307, Location=f"http://localhost:{port}/elsewhere/{reference}")
            else:
                self._answer(200, self.store.blobs[reference])
        else:
            self._answer(404, b'{"errors":[{"code":"UNKNOWN"}]}')

    def do_POST(self) -> None:
        if not self._is_refused():
            upload = f"upload-{len(self.store.uploads)}"
            self.store.uploads[upload] = b""
            path = urlsplit(self.path).path.rstrip("/")
            self._answer(202, Location=f"{path}/{upload}?state=begun")

    def do_PATCH(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_refused():
            path = urlsplit(self.path).path
            self.store.uploads[path.rpartition("/")[2]] += content
            self._answer(202, Location=f"{path}?state=sent")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_refused():
            return
        parts = urlsplit(self.path)
        name = parts.path.rpartition("/")[2]
        if "/manifests/" in parts.path:
            self._put_manifest(name, content)
            return
        digest = parse_qs(parts.query)["digest"][0]
        uploaded = self.store.uploads.pop(name)
        if digest != f"sha256:{hashlib.sha256(uploaded).hexdigest()}":
            self._answer(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
            return
        self.store.blobs[digest] = uploaded
        self.store.uploaded.append(digest)
        self._answer(201)

    def _put_manifest(self, tag: str, content: bytes) -> None:
        if self.store.tags_are_immutable and tag in self.store.manifests:
            self._answer(400, b'{"errors":[{"code":"TAG_INVALID"}]}')
            return
        manifest = (self.headers["Content-Type"], content)
        self.store.manifests[tag] = manifest
        self.store.manifests[f"sha256:{hashlib.sha256(content).hexdigest()}"] = manifest
        self._answer(201)


@contextmanager
def running_registry(store: Store) -> Iterator[str]:
    """Runs the registry on a free port of loopback; gives its URL."""
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
