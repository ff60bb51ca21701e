"""The stand-in as a program under test, and boto3 clients for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from localcloud.sagemaker import launch

ROOT = Path(__file__).parents[3]
ROLE = "arn:aws:iam::000000000000:role/sagemaker"
BUCKET = "models"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/serving:1"
START_SECONDS = 30.0


def client(service: str, url: str, **config: Any) -> Any:
    """A boto3 client that talks to loopback and never retries by itself."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
    )


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value of ``condition``; fails when the deadline passes without one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def is_alive(process_id: int) -> bool:
    """Returns whether a process runs (a zombie does not)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False


class StandIn:
    """The program under test: started, stopped, killed and started again on one state folder."""

    def __init__(self, state_dir: Path, s3_url: str, *options: str) -> None:
        self.state_dir, self._s3_url, self._options = state_dir, s3_url, options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.sagemaker = client("sagemaker", self.url)
        self.runtime = client("sagemaker-runtime", self.url)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, launch.__file__, "-m", "localcloud.sagemaker"),
                *("--port", str(self.port), "--state-dir", str(self.state_dir)),
                *("--aws-endpoint-url", self._s3_url),
                *self._options,
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closes, and so ends it, however the tests end
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        until(self._answers, START_SECONDS)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(timeout=20)
        self.process = None
        return status

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the stand-in ended"
        try:
            self.sagemaker.list_endpoints()
        except EndpointConnectionError:
            return False
        return True

    # what most tests need
    def create_model(self, name: str, version: str = "v1", **container: Any) -> None:
        url = f"s3://{BUCKET}/{version}/model.tar.gz"
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url, **container},
        )

    def create_config(self, name: str, model: str, **variant: Any) -> None:
        kind = variant or {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2}}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": model, **kind}],
        )

    def create_endpoint(self, name: str, version: str = "v1", **variant: Any) -> None:
        """Model, configuration and endpoint of one name, in service."""
        self.create_model(name, version)
        self.create_config(name, name, **variant)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        assert self.settled(name)["EndpointStatus"] == "InService"

    def settled(self, name: str, seconds: float = 30.0) -> dict[str, Any]:
        """The endpoint's description once nothing is under way."""

        def described() -> dict[str, Any] | None:
            description: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return None if description["EndpointStatus"].endswith("ing") else description

        result: dict[str, Any] = until(described, seconds)
        return result
