"""A serving application in 100 lines of the standard library: the container's contract, on demand.

``build_archive`` packs it the way the real archive is packed: ``model/serving/__main__.py``.
The request selects its behaviour by content type (``status/503``, ``sleep/3``, ``die/now``,
``large/100``) or body (``bad``, ``hold FOLDER``, ``once-500 FILE``), so that each test says what it
needs. ``hold`` leaves a file ``waiting-…`` in the folder and answers once there is a file ``go``.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from archive.card import ModelCard
from imaging import ImageSpec

SPEC = ImageSpec.from_json(
    {
        "size": 224,
        "resize": 256,
        "crop": "center",
        "interpolation": "bicubic",
        "mean": [127.0, 127.0, 127.0],
        "std": [128.0, 128.0, 128.0],
        "layout": "NHWC",
    }
)

PROGRAM = r"""
import argparse, json, os, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = Path("version.txt").read_text()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/ping":
            self.answer(503 if VERSION == "never-healthy" else 200, b"")
        elif self.path == "/execution-parameters" and VERSION == "wishes":
            self.answer(200, json.dumps({"MaxConcurrentTransforms": 3, "MaxPayloadInMB": 1,
                                         "BatchStrategy": "SINGLE_RECORD"}).encode())
        else:
            self.answer(404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind, _, argument = (self.headers["Content-Type"] or "").partition("/")
        if kind == "die":
            os._exit(3)
        if kind == "sleep":
            time.sleep(float(argument))
        if kind == "status":
            self.answer(int(argument), b'{"error": "as asked"}')
            return
        if body.startswith(b"bad"):
            self.answer(400, b"bad image")
            return
        if body.startswith(b"hold "):
            folder = Path(body.split()[1].decode())
            (folder / f"waiting-{threading.get_ident()}").touch()
            while not (folder / "go").exists():
                time.sleep(0.02)
        if body.startswith(b"once-500 "):
            marker = Path(body.split()[1].decode())
            if not marker.exists():
                marker.touch()
                self.answer(500, b"first time")
                return
        if kind == "large":
            self.answer(200, b"x" * int(argument))
            return
        seen = {"version": VERSION, "bytes": len(body), "pid": os.getpid(),
                "cwd": os.getcwd(), "environment": dict(os.environ),
                "headers": {k.lower(): v for k, v in self.headers.items()}}
        self.answer(200, json.dumps(seen).encode(), custom=self.headers.get(
            "X-Amzn-SageMaker-Custom-Attributes"))

    def answer(self, status, content, custom=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if custom:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", custom + "-answered")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


parser = argparse.ArgumentParser()
parser.add_argument("--model-dir", required=True)
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, required=True)
arguments = parser.parse_args()
if VERSION == "crashes":
    raise SystemExit(7)
Server((arguments.host, arguments.port), Handler).serve_forever()
"""


def build_archive(version: str) -> bytes:
    """A ``model.tar.gz`` whose answers carry ``version``.

    ``never-healthy``, ``crashes`` and ``wishes`` (has /execution-parameters) behave differently.
    """
    card = ModelCard(
        name="fake",
        version=version,
        labels=("cat", "dog"),
        image_spec=SPEC,
        gate=None,
        metrics={},
        training_run={},
        weights_sha256=hashlib.sha256(b"weights").hexdigest(),
    )
    files = {
        "model.json": json.dumps(card.to_json()),
        "model.onnx": "weights",
        "version.txt": version,
        "model/__init__.py": "",
        "model/serving/__init__.py": "",
        "model/serving/__main__.py": PROGRAM,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
