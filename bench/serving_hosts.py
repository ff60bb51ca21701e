"""Hosts for the serving application, each a context: uvicorn, and Ray Serve as AWS runs it.

A host's processes have its mark in their environment, or were started by one that has: ours gives
its decoders no environment. So CPU time is counted although Ray detaches its processes, and only
these processes are ended afterwards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "IMAGEDROP_BENCH_MARK"
START_DEADLINE_SECONDS = 90
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Body:
    """A request body."""

    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Host:
    """A running server: its port, and the mark of its processes."""

    name: str
    port: int
    mark: str
    start_seconds: float


def processes(mark: str) -> list[Path]:
    """The /proc folders of the processes with this mark, and of all that these started."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if wanted in environ.read_bytes().split(b"\0"):
                started = psutil.Process(int(environ.parent.name)).children(recursive=True)
                found |= {environ.parent, *(Path("/proc", str(each.pid)) for each in started)}
    return sorted(found)


def cpu_seconds(mark: str) -> float:
    """User and system time of all of a host's processes."""
    total = 0
    for process in processes(mark):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_SECOND


def rss_mb(mark: str) -> float:
    """Resident memory of all of a host's processes, shared pages counted in each."""
    total = 0
    for process in processes(mark):
        with contextlib.suppress(OSError):
            total += int((process / "statm").read_text().split()[1])
    return total * PAGE_BYTES / 1e6


def free_port() -> int:
    """Returns a port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answered(port: int, body: Body) -> float:
    """When the first answer came, by the clock of time.perf_counter."""
    deadline = time.perf_counter() + START_DEADLINE_SECONDS
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=body.content,
        headers={"Content-Type": body.content_type},
    )
    while time.perf_counter() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=START_DEADLINE_SECONDS) as response:  # noqa: S310
                response.read()
            return time.perf_counter()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.005)
    raise TimeoutError(f"no answer on port {port}")


@contextlib.contextmanager
def under_uvicorn(model_dir: Path, first: Body) -> Iterator[Host]:
    """The application as it runs locally and in the slim image: the archive's own code."""
    port, mark = free_port(), f"uvicorn-{time.time_ns()}"
    environment = os.environ | {"PYTHONPATH": str(model_dir), MARK: mark}
    command = [sys.executable, "-m", "model.serving", "--model-dir", str(model_dir)]
    started = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment,
        cwd=model_dir,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Host("uvicorn", port, mark, wait_until_answered(port, first) - started)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


@contextlib.contextmanager
def under_ray(name: str, ray_bin: Path, model_dir: Path, first: Body) -> Iterator[Host]:
    """As AWS's container does it: ray start, serve start, serve run config.yaml."""
    port, gcs_port, mark = free_port(), free_port(), f"ray-{time.time_ns()}"
    # Not a deeper folder: Ray puts Unix sockets there, whose paths must be short.
    scratch = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    environment = os.environ | {
        "PYTHONPATH": str(model_dir),
        "PATH": f"{ray_bin}:{os.environ['PATH']}",
        "RAY_ADDRESS": f"127.0.0.1:{gcs_port}",
        "RAY_TMPDIR": scratch,
        "RAY_USAGE_STATS_ENABLED": "0",
        # Else Ray looks for itself at the machine's address in its network, not on loopback.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "disabled",  # it listens on loopback only
        MARK: mark,
    }

    def run(*command: str, **more: str) -> None:
        subprocess.run(
            [str(ray_bin / command[0]), *command[1:]],
            env=environment | more,
            cwd=model_dir,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    started = time.perf_counter()
    try:
        run(
            *("ray", "start", "--head", "--node-ip-address=127.0.0.1", f"--port={gcs_port}"),
            *("--include-dashboard=False", "--disable-usage-stats"),
            RAY_ADDRESS="",
        )
        run("serve", "start", "--http-host=127.0.0.1", f"--http-port={port}")
        serving = subprocess.Popen(
            [str(ray_bin / "serve"), "run", "config.yaml"],
            env=environment,
            cwd=model_dir,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Host(name, port, mark, wait_until_answered(port, first) - started)
        finally:
            serving.terminate()
            serving.wait(60)
    finally:
        end(mark)
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def under_command(
    name: str, command: Sequence[str | Path], model_dir: Path, port: int, first: Body
) -> Iterator[Host]:
    """A server of one command that finds the model in MODEL_DIR and these benches by its path."""
    mark = f"{name}-{time.time_ns()}"
    environment = os.environ | {
        "MODEL_DIR": str(model_dir),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "BENTOML_DO_NOT_TRACK": "True",
        MARK: mark,
    }
    started = time.perf_counter()
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield Host(name, port, mark, wait_until_answered(port, first) - started)
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        end(mark)


@contextlib.contextmanager
def under_bentoml(peers_bin: Path, model_dir: Path, first: Body) -> Iterator[Host]:
    """`bentoml serve`, one worker."""
    port = free_port()
    command = [peers_bin / "bentoml", "serve", "bench.bentoml_app:Classifier"]
    options = ["--host", "127.0.0.1", "--port", str(port)]
    with under_command("BentoML", [*command, *options], model_dir, port, first) as host:
        yield host


@contextlib.contextmanager
def under_litserve(peers_bin: Path, model_dir: Path, first: Body) -> Iterator[Host]:
    """LitServe's own server, one worker."""
    port = free_port()
    command = [peers_bin / "python", "-m", "bench.litserve_app", model_dir, str(port)]
    with under_command("LitServe", command, model_dir, port, first) as host:
        yield host


def end(mark: str) -> None:
    """End the processes that carry this mark, and no others."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.name), number)
        deadline = time.monotonic() + 10
        while processes(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
