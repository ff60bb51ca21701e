"""The serving application as a subprocess that knows nothing but its archive."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

START_SECONDS = 60
ANSWER_SECONDS = 60
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with its JSON."""

    status: int
    content: Any


class Server:
    """``python -m model.serving`` with nothing but the archive on its path."""

    def __init__(self, archive: Path) -> None:
        self.port = free_port()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(archive)}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "model.serving"),
                *("--model-dir", str(archive), "--port", str(self.port)),
            ],
            cwd=archive,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Server:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                _, log = self.process.communicate()
                raise AssertionError(f"the server ended by itself: {log}")
            try:
                if self.get("/ping").status == 200:
                    return self
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise

    def connect(self) -> http.client.HTTPConnection:
        """A connection of the caller's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)

    def get(self, path: str) -> Answer:
        """GET."""
        return self._ask("GET", path, None, {})

    def invoke(self, content_type: str, body: bytes) -> Answer:
        """POST /invocations on a new connection."""
        return self._ask("POST", "/invocations", body, {"Content-Type": content_type})

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))
        finally:
            connection.close()


def free_port() -> int:
    """Returns a port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def picture(number: int) -> Image.Image:
    """One of many different pictures."""
    gradient = Image.linear_gradient("L").resize((256, 256)).rotate(number * 37 % 360)
    tint = (number * 53 % 256, number * 91 % 256, number * 29 % 256)
    return Image.blend(gradient.convert("RGB"), Image.new("RGB", (256, 256), tint), 0.5)


def png(number: int) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture(number).save(file, "PNG")
    return file.getvalue()
