"""A SageMaker control plane in memory: enough to see which calls the emulator makes to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ARN = "arn:aws:sagemaker:us-east-1:000000000000:"


@dataclass
class FakeSageMaker:
    """The requests and the resources; a new resource is in progress at the first Describe."""

    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure_reason: str | None = None  # of endpoints created from now on
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs_end: str | None = "Completed"  # how they end after their first look; None: not at all
    refusal: str | None = None  # the error code that CreateTransformJob is answered with

    def operations(self) -> list[str]:
        """The names of the operations called, without the looks."""
        return [name for name, _ in self.calls if not name.startswith("Describe")]

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """The requests of one operation."""
        return [request for name, request in self.calls if name == operation]

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body, in SageMaker's shapes."""
        self.calls.append((operation, request))
        if operation in ("CreateModel", "CreateEndpointConfig"):
            kind = operation.removeprefix("Create")
            return 200, {f"{kind}Arn": f"{_ARN}{kind.lower()}/{request[f'{kind}Name']}"}
        if operation in ("DeleteModel", "DeleteEndpointConfig"):
            return 200, {}
        if operation.endswith("TransformJob"):
            return self._answer_about_job(operation, request)
        return self._answer_about_endpoint(operation, request)

    def _answer_about_job(
        self, operation: str, request: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        name = request["TransformJobName"]
        if operation == "CreateTransformJob":
            if self.refusal:
                return 400, {"__type": self.refusal, "message": "as asked"}
            status = {"TransformJobStatus": "InProgress", "CreationTime": 1732550400.25}
            self.jobs[name] = {**request, **status}
            return 200, {"TransformJobArn": f"{_ARN}transform-job/{name}"}
        if name not in self.jobs:
            message = f"Could not find requested job with name: {name}"
            return 400, {"__type": "ValidationException", "message": message}
        if operation == "StopTransformJob":
            self.jobs[name]["TransformJobStatus"] = "Stopped"
            return 200, {}
        seen = dict(self.jobs[name])
        if self.jobs_end and seen["TransformJobStatus"] == "InProgress":
            self.jobs[name]["TransformJobStatus"] = self.jobs_end
        return 200, seen

    def _answer_about_endpoint(
        self, operation: str, request: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        name = request["EndpointName"]
        if operation in ("CreateEndpoint", "UpdateEndpoint"):
            self.endpoints[name] = {
                "EndpointStatus": "Creating",
                "EndpointConfigName": request["EndpointConfigName"],
            }
            return 200, {"EndpointArn": f"{_ARN}endpoint/{name}"}
        if name not in self.endpoints:
            message = f'Could not find endpoint "{_ARN}endpoint/{name}".'
            return 400, {"__type": "ValidationException", "message": message}
        if operation == "DeleteEndpoint":
            del self.endpoints[name]
            return 200, {}
        seen = dict(self.endpoints[name])
        if self.failure_reason:
            self.endpoints[name]["EndpointStatus"] = "Failed"
            self.endpoints[name]["FailureReason"] = self.failure_reason
        else:
            self.endpoints[name]["EndpointStatus"] = "InService"
        return 200, seen


@contextmanager
def running_fake_sagemaker() -> Iterator[FakeSageMaker]:
    """The fake behind a port of its own on loopback."""
    fake = FakeSageMaker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            status, answer = fake.answer(operation, json.loads(body or b"{}"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
