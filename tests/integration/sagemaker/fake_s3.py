"""The few operations of S3 and CloudWatch Logs that the stand-in calls, on loopback, in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

LISTING_PAGE = 7  # small, so that every listing of a test has several pages


class FakeS3(ThreadingHTTPServer):
    """``objects`` maps ``bucket/key`` to content; ``failing`` holds names that answer 500.

    ``logs`` maps a log stream to its lines.
    """

    daemon_threads = True

    def __init__(self, port: int, objects: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.objects = objects
        self.failing: set[str] = set()
        self.logs: dict[str, list[str]] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def outputs(self, prefix: str) -> dict[str, bytes]:
        """Objects under ``bucket/prefix``, by the rest of their name."""
        return {
            name.removeprefix(prefix): content
            for name, content in sorted(self.objects.items())
            if name.startswith(prefix)
        }


@contextmanager
def running(port: int = 0, objects: dict[str, bytes] | None = None) -> Iterator[FakeS3]:
    """The server, for as long as the block runs."""
    server = FakeS3(port, {} if objects is None else objects)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a client would wait 40 ms between headers and content
    server: FakeS3

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        name, query = unquote(parts.path).removeprefix("/"), parse_qs(parts.query)
        if "list-type" in query:
            self._list(name.rstrip("/"), query)
        elif name in self.server.failing:
            self._answer(500, b"<Error><Code>InternalError</Code></Error>")
        elif name in self.server.objects:
            self._answer(200, self.server.objects[name])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_HEAD = do_GET  # noqa: N815 - the name http.server looks for

    def do_PUT(self) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if name in self.server.failing:
            self._answer(500, b"<Error><Code>InternalError</Code></Error>")
            return
        self.server.objects[name] = content
        self._answer(200, b"")

    def do_POST(self) -> None:
        """CloudWatch Logs: JSON 1.1, the operation named in a header."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        if "logs" in self.server.failing:
            self._answer(500, b'{"__type": "ServiceUnavailableException"}')
            return
        if operation == "PutLogEvents":
            lines = self.server.logs[request["logStreamName"]]
            lines += [each["message"] for each in request["logEvents"]]
        elif operation == "CreateLogStream":
            self.server.logs.setdefault(request["logStreamName"], [])
        self._answer(200, b"{}")

    def _list(self, bucket: str, query: dict[str, list[str]]) -> None:
        start = f"{bucket}/{query.get('prefix', [''])[0]}"
        names = sorted(name for name in self.server.objects if name.startswith(start))
        offset = int(query.get("continuation-token", ["0"])[0])
        page = names[offset : offset + LISTING_PAGE]
        more = offset + LISTING_PAGE < len(names)
        contents = "".join(
            f"<Contents><Key>{escape(name.removeprefix(bucket + '/'))}</Key></Contents>"
            for name in page
        )
        token = f"<NextContinuationToken>{offset + LISTING_PAGE}</NextContinuationToken>"
        self._answer(
            200,
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token if more else ''}{contents}</ListBucketResult>".encode(),
        )

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
