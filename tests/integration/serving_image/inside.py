"""Runs inside the sandbox: starts `serve`, waits for /ping, sends images, prints the figures."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import resource
import subprocess
import time
from pathlib import Path

IMAGES = 25
DEADLINE_SECONDS = 60.0


def main() -> None:
    began = time.monotonic()
    server = subprocess.Popen(["serve"], preexec_fn=_limit_memory)  # noqa: PLW1509 - one thread
    while not _is_ready():
        if server.poll() is not None:
            raise SystemExit(f"serve ended with {server.returncode}")
        if time.monotonic() - began > DEADLINE_SECONDS:
            raise SystemExit("no /ping in time")
        time.sleep(0.02)
    found: dict[str, object] = {
        "ready_seconds": round(time.monotonic() - began, 2),
        "ready_cpu_seconds": _cpu_seconds(server.pid),
    }
    photos = itertools.cycle(sorted(Path("/driver/photos").iterdir()))
    answers = [_ask(photo) for photo in itertools.islice(photos, IMAGES)]
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
    )
    found |= {
        "statuses": [status for status, _ in answers],
        "labels": [label for _, label in answers],
        "all_cpu_seconds": _cpu_seconds(server.pid),
        "peak_memory_kilobytes": int(status["VmHWM"].split()[0]),
        "user": os.getuid(),
        "has_dev_shm": Path("/dev/shm").exists(),  # noqa: S108 - it must be missing
        "writable": [path for path in ("/", "/usr", "/opt/ml/model", "/dev") if _writable(path)],
        "left_in_tmp": os.listdir("/tmp"),  # noqa: S108 - the sandbox's own
    }
    server.terminate()
    found["exit_code"] = server.wait(30)
    print(json.dumps(found))


def _limit_memory() -> None:
    limit_bytes = int(os.environ["LIMIT_MEGABYTES"]) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def _is_ready() -> bool:
    try:
        return _request("GET", "/ping")[0] == 200
    except OSError:
        return False


def _ask(photo: Path) -> tuple[int, str]:
    status, body = _request("POST", "/invocations", photo.read_bytes())
    answer = json.loads(body)
    return status, answer[0]["label"] if status == 200 else answer["error"]["code"]


def _request(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
    connection.request(method, path, body, {"Content-Type": "application/x-image"} if body else {})
    response = connection.getresponse()
    return response.status, response.read()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 2)


def _writable(folder: str) -> bool:
    try:
        Path(folder, "probe").write_text("x")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
