"""Proxies between the functions and the services, which answer some calls with faults."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import processes
from localcloud.cloud import Cloud

PROGRAM = Path(__file__).parents[2] / ".tools" / "microburst" / "bin" / "microburst"
START_SECONDS = 30.0
Rule = Mapping[str, Any]

# Together more than a tenth of the calls to each service. `abort_frac` lets the call through and
# loses the answer: the service did the work, and the caller does not know.
AWS_RULES: Sequence[Rule] = (
    {"service": "s3", "operation": "GetObject", "probability": 0.06,
     "error": {"code": "SlowDown", "status": 503}},
    {"service": "s3", "operation": "GetObject", "probability": 0.03, "reset": True},
    {"service": "s3", "operation": "GetObject", "probability": 0.02,
     "response": {"abort_frac": 0.5}},
    {"service": "dynamodb", "operation": "UpdateItem", "probability": 0.06,
     "error": {"code": "ProvisionedThroughputExceededException"}},
    {"service": "dynamodb", "operation": "UpdateItem", "probability": 0.03, "reset": True},
    {"service": "dynamodb", "operation": "UpdateItem", "probability": 0.03,
     "response": {"abort_frac": 0.1}},
    {"service": "dynamodb", "operation": "UpdateItem", "probability": 0.05,
     "latency": {"min": 100, "max": 1000}},
)  # fmt: skip
SAGEMAKER_RULES: Sequence[Rule] = (
    {"service": "sagemaker", "probability": 0.04,
     "error": {"code": "ThrottlingException", "status": 400}},
    {"service": "sagemaker", "probability": 0.03,
     "error": {"code": "ServiceUnavailable", "status": 503}},
    {"service": "sagemaker", "probability": 0.02, "reset": True},
    {"service": "sagemaker", "probability": 0.02, "response": {"truncate_frac": 0.5}},
    {"service": "sagemaker", "probability": 0.02, "response": {"abort_frac": 0.5}},
    {"service": "sagemaker", "probability": 0.05, "latency": {"min": 200, "max": 3000}},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proxy:
    """One running proxy."""

    url: str

    def set_rules(self, rules: Sequence[Rule]) -> None:
        self._call("POST", "rules", json.dumps(list(rules)).encode())

    def fired(self) -> Counter[str]:
        """Faults so far, by service and kind; a call that was only slowed down is one too."""
        events = json.loads(self._call("GET", "fired?limit=1000000"))
        if isinstance(events, dict):
            events = events["events"]
        return Counter(
            f"{each['service']} {str(each['action']).partition(':')[0]}"
            + ("" if "latency" in each["action"] else f" {str(each['action']).partition(':')[2]}")
            for each in events
        )

    def calls(self) -> int:
        """Calls so far, those that were answered with a fault included."""
        lines = self._call("GET", "metrics").decode().splitlines()
        return sum(
            int(float(line.split()[-1]))
            for line in lines
            if line.startswith("microburst_requests_total")
        )

    def is_answering(self) -> bool:
        try:
            self._call("GET", "health")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - on loopback
            f"{self.url}/_microburst/{path}",
            data=body,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            answer: bytes = response.read()
        return answer


@contextmanager
def proxies(running: Cloud, logs: Path) -> Iterator[tuple[Proxy, Proxy]]:
    """Before AWS's services, and before SageMaker; without faults until rules are set."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        pair = [
            _start(upstream, logs / f"{name}.log", started)
            for name, upstream in (
                ("aws", running.endpoint_url),
                ("sagemaker", running.sagemaker_url),
            )
        ]
        yield pair[0], pair[1]
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=30)


def _start(upstream: str, log: Path, started: list[subprocess.Popen[bytes]]) -> Proxy:
    if not PROGRAM.exists():
        raise SystemExit("install the proxy with: make .tools/microburst/.installed")
    (port,) = processes.free_ports([0])
    with log.open("wb") as file:
        started.append(
            subprocess.Popen(
                [
                    *(PROGRAM, "--upstream", upstream, "--port", str(port)),
                    *("--host", processes.HOST, "--no-resign"),
                ],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        )
    proxy, deadline = Proxy(f"http://{processes.HOST}:{port}"), time.monotonic() + START_SECONDS
    while not proxy.is_answering():
        if time.monotonic() > deadline or started[-1].poll() is not None:
            raise SystemExit(f"the proxy did not start: {log.read_text()}")
        time.sleep(0.1)
    return proxy
