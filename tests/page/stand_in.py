"""A stand-in for the stack's API, in memory.

It follows the agreement of the API's routes, so that the page can be tested without a cloud, with
as many rows as wanted, and with answers that a real stack gives rarely.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.page.made_up import (
    LABELS,
    MODEL,
    NOW,
    Row,
    made_up_drift,
    made_up_picture,
)

REVIEWER = "alice@example.com"
FILTERS = ("label", "status", "model", "source", "group")
ORDERS: dict[str, tuple[str, bool]] = {
    "newest": ("classified_at", True),
    "oldest": ("classified_at", False),
    "most_sure": ("confidence", True),
    "least_sure": ("confidence", False),
}


class Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        self.status = status


@dataclass
class StandIn:
    """The API's data, and the requests that it received."""

    rows: list[Row] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    # Routes of the agreement that this stack is too old for.
    missing: set[str] = field(default_factory=set)
    # Rows that another person has claimed, by id.
    claimed: set[str] = field(default_factory=set)
    # What a decision has replaced, by id, for undo.
    before: dict[str, Row | None] = field(default_factory=dict)
    runs: list[Row] = field(default_factory=list)
    models: list[Row] = field(default_factory=list)
    summary: list[Row] = field(default_factory=list)
    drift: list[Row] = field(default_factory=made_up_drift)
    picture_of: Callable[[Row, int], bytes] = field(default_factory=lambda: made_up_picture)
    map_of: Callable[[Row], Row] = field(default_factory=lambda: explanation)
    # An uploaded key becomes this row.
    answer: Callable[[str, bytes], Row] | None = None
    url: str = ""
    # The number of pages of a listing that come empty, with a cursor.
    empty_pages: int = 0
    # Every page of a listing with this parameter does.
    finds_nothing: str = ""
    # Every call is answered by 503, with this.
    failing: str | None = None
    headers: dict[str, str] = field(default_factory=dict)  # of the last call, in lower case

    def calls(self, method: str, path: str) -> list[dict[str, str]]:
        """Returns the parameters of every such call."""
        return [asked[2] for asked in self.asked if asked[0] == method and asked[1] == path]

    def find(self, prediction_id: str) -> Row:
        for row in self.rows:
            if row["id"] == prediction_id:
                return row
        raise Refused(404, "Not found", "No prediction has this id.")

    def answer_json(  # noqa: PLR0911, PLR0912 - a line for each route
        self, method: str, path: str, asked: dict[str, str], body: Any
    ) -> Any:
        self.asked.append((method, path, asked))
        if self.failing is not None:
            raise Refused(503, "AWS is busy", self.failing)
        parts = path.strip("/").split("/")
        if parts[0] in self.missing or parts[-1] in self.missing:
            raise Refused(404, "Not found", "no such path")
        match (method, *parts):
            case ("GET", "predictions"):
                return self.list(asked)
            case ("GET", "predictions", prediction_id):
                return self.find(prediction_id)
            case ("GET", "labels"):
                return {"model": MODEL, "labels": sorted(LABELS), "names": {"pug": "Pug dog"}}
            case ("GET", "images", prediction_id, "history"):
                return {"versions": [self.find(prediction_id)]}
            case ("GET", "images", prediction_id, "trace"):
                return trace(self.find(prediction_id))
            case ("GET", "images", prediction_id, "explanation"):
                return self.map_of(self.find(prediction_id))
            case ("PUT", "images", prediction_id, "review"):
                return self.review(self.find(prediction_id), body)
            case ("POST", "uploads"):
                return self.form(body)
            case ("GET", "runs"):
                return {"runs": self.runs, "cursor": None}
            case ("GET", "runs", name):
                return next(run for run in self.runs if run["name"] == name)
            case ("GET", "models"):
                return {"answers": MODEL, "models": self.models}
            case ("GET", "summary"):
                return {"days": self.summary or list(days(self.rows))}
            case ("GET", "drift"):
                return {"compared": self.drift}
        raise Refused(404, "Not found", f"{method} {path}")

    def list(self, asked: dict[str, str]) -> Row:
        filtered = set(asked) - {"limit", "cursor", "sort"}
        rows = [row for row in self.rows if matches(row, asked)] if filtered else self.rows
        attribute, reverse = ORDERS[asked.get("sort", "newest")]
        if attribute == "confidence":
            rows = [row for row in rows if row["confidence"] is not None]
        if (attribute, reverse) != ("classified_at", True):
            rows = sorted(rows, key=lambda row: row[attribute], reverse=reverse)
        if self.empty_pages:
            self.empty_pages -= 1
            return {"predictions": [], "cursor": "0"}
        if self.finds_nothing in asked:
            return {"predictions": [], "cursor": str(int(asked.get("cursor", 0)) + 1)}
        start, limit = int(asked.get("cursor", 0)), int(asked.get("limit", 50))
        end = start + limit
        return {
            "predictions": rows[start:end],
            "cursor": str(end) if end < len(rows) else None,
        }

    def review(self, row: Row, body: Row) -> Row:
        if row["id"] in self.claimed:
            raise Refused(409, "Claimed", "Somebody else is looking at this photo.")
        if body["version"] != row["version"]:
            raise Refused(409, "Another version", "The photo was dropped again meanwhile.")
        action = body["action"]
        label = {"confirm": row["label"], "correct": body.get("label")}.get(action)
        at = NOW.isoformat().replace("+00:00", "Z")
        review = {"label": label, "by": REVIEWER, "at": at, "action": action}
        latest = row["review"]
        if action == "undo":
            if latest is None or latest["by"] != REVIEWER:
                raise Refused(409, "Nothing to undo", "There is nothing of yours to undo.")
            row["review"] = self.before.pop(row["id"], None)
            return row | {"undone": latest}
        elif action == "skip":
            row["review"] = latest if is_decided(row) else review
        elif action != "claim":
            self.before[row["id"]] = latest
            row["review"] = review
        return row

    def form(self, body: Row) -> Row:
        key = f"incoming/{body['key'].removeprefix('incoming/')}"
        return {"url": f"{self.url}/bucket", "fields": {"key": key}, "key": key}

    def upload(self, key: str, content: bytes) -> str:
        """Keeps a dropped file, makes its row, and returns its version."""
        assert self.answer is not None
        row = self.answer(key, content)
        self.rows.insert(0, row)  # another thread's may be the first one now
        return str(row["version"])


def matches(row: Row, asked: dict[str, str]) -> bool:
    if "status" not in asked and row["status"] == "DELETED":
        return False
    if any(name in asked and row[name] != asked[name] for name in FILTERS):
        return False
    confidence = row["confidence"]
    if "min_confidence" in asked or "max_confidence" in asked:
        low, high = float(asked.get("min_confidence", 0)), float(asked.get("max_confidence", 1))
        if confidence is None or not low <= confidence <= high:
            return False
    said = row["candidate"]
    disagrees = said is not None and said["label"] != row["label"]
    if "disagreement" in asked and disagrees != (asked["disagreement"] == "true"):
        return False
    return "reviewed" not in asked or is_decided(row) == (asked["reviewed"] == "true")


def is_decided(row: Row) -> bool:
    return bool(row["review"] and row["review"]["action"] != "skip")


def trace(row: Row) -> Row:
    return {
        "steps": [
            {"at": row["received_at"], "what": "uploaded", "detail": row["key"]},
            {"at": row["classified_at"], "what": "classified", "detail": row["model"]},
        ]
    }


def explanation(row: Row) -> Row:
    if row["label"] == "not_a_dog":
        raise Refused(404, "No map", "This model cannot show where it looked.")
    size = 7
    values = [
        [max(0.0, 1 - ((x - 3) ** 2 + (y - 4) ** 2) / 9) for x in range(size)] for y in range(size)
    ]
    box = {"x": 0.1, "y": 0.05, "width": 0.8, "height": 0.9}
    label = row["predictions"][0]["label"]
    return {"map": values, "box": box, "label": label, "method": "class activation"}


def days(rows: list[Row]) -> Iterator[Row]:
    for day in sorted({row["classified_at"][:10] for row in rows}):
        of_day = [row for row in rows if row["classified_at"].startswith(day)]
        bins = [0] * 10
        for row in of_day:
            if row["confidence"] is not None:
                bins[min(9, int(10 * row["confidence"]))] += 1
        yield {
            "day": day,
            "labels": Counter(row["label"] for row in of_day if row["label"]),
            "statuses": Counter(row["status"] for row in of_day),
            "reasons": Counter(row["reason"] for row in of_day if row["reason"]),
            "confidence": bins,
            "models": Counter(row["model"] for row in of_day if row["model"]),
        }


def handler_of(api: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two packets: the second waits for no acknowledgement, for which the
        # browser takes 40 ms.
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Logs nothing."""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            thumbnail = re.fullmatch(r"/images/([\w-]+)/thumbnail", url.path)
            asked = dict(parse_qsl(url.query))
            if thumbnail and "thumbnail" not in api.missing:
                api.asked.append(("GET", url.path, asked))
                row = api.find(thumbnail[1])
                self.reply(200, "image/webp", api.picture_of(row, int(asked["size"])))
                return
            self.answer("GET", url.path, asked, None)

        def do_PUT(self) -> None:
            body = json.loads(self.content())
            self.answer("PUT", urlsplit(self.path).path, body, body)

        def do_POST(self) -> None:
            content = self.content()
            if self.path == "/bucket":
                key, file = parts_of(content)
                self.reply(204, "text/plain", b"", version=api.upload(key, file))
                return
            body = json.loads(content)
            self.answer("POST", self.path, body, body)

        def do_OPTIONS(self) -> None:
            """Answers the browser's question whether the page may send a form, as S3 does."""
            self.reply(204, "text/plain", b"")

        def answer(self, method: str, path: str, asked: dict[str, str], body: Any) -> None:
            api.headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer, status = api.answer_json(method, path, asked, body), 200
            except Refused as refused:
                answer, status = refused.body, refused.status
            kind = "application/json" if status == 200 else "application/problem+json"
            self.reply(status, kind, json.dumps(answer).encode())

        def content(self) -> bytes:
            return self.rfile.read(int(self.headers["content-length"]))

        def reply(self, status: int, kind: str, body: bytes, version: str = "") -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            # S3's answer to a page of an allowed origin.
            self.send_header("access-control-allow-origin", "*")
            self.send_header("access-control-allow-headers", "*")
            self.send_header("access-control-expose-headers", "x-amz-version-id")
            self.send_header("x-amz-version-id", version)
            self.end_headers()
            self.wfile.write(body)

    return Handler


def parts_of(form: bytes) -> tuple[str, bytes]:
    """Returns the key and the file of a form, of which the file is the last part."""
    boundary = form.partition(b"\r\n")[0]
    parts = [part.partition(b"\r\n\r\n")[2][:-2] for part in form.split(boundary)[1:-1]]
    return parts[0].decode(), parts[-1]


@contextmanager
def serving(api: StandIn) -> Iterator[StandIn]:
    """Serves the stand-in on a free port of the loopback interface."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(api))
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
