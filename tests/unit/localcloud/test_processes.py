"""Processes are ended only when they are the ones that were started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localcloud import processes
from localcloud.processes import LocalCloudError

_SLEEP = "import time; time.sleep(60)"
# It has a child in the same process group, and ignores SIGTERM.
_STUBBORN = (
    "import signal, subprocess, sys, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    f"child = subprocess.Popen([sys.executable, '-c', '{_SLEEP}']);"
    "print(child.pid, flush=True);"
    "time.sleep(60)"
)


def _start(folder: Path, code: str) -> processes.StartedProcess:
    return processes.start(
        "sleeper",
        [sys.executable, "-c", code],
        environment=os.environ,
        cwd=folder,
        log=folder / "sleeper.log",
    )


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[processes.StartedProcess]:
    started = _start(tmp_path, _SLEEP)
    yield started
    processes.stop(started, grace_seconds=5)


def test_process_is_ended_and_no_longer_alive(sleeper: processes.StartedProcess) -> None:
    assert sleeper.is_alive

    processes.stop(sleeper, grace_seconds=5)

    assert not sleeper.is_alive
    assert processes.identity_of(sleeper.pid) is None


def test_another_process_with_the_same_pid_is_left_alone(
    sleeper: processes.StartedProcess,
) -> None:
    from_before_the_reboot = replace(sleeper, identity="boot ticks 1")

    assert not from_before_the_reboot.is_alive
    processes.stop(from_before_the_reboot, grace_seconds=5)

    assert sleeper.is_alive


def test_process_that_ignores_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    stubborn = _start(tmp_path, _STUBBORN)
    deadline = time.monotonic() + 30
    while not stubborn.log_tail().strip() and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(stubborn.log_tail())
    assert processes.identity_of(child)

    processes.stop(stubborn, grace_seconds=0.2)

    assert not stubborn.is_alive
    while processes.identity_of(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.identity_of(child) is None


def test_program_that_is_missing_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="Cannot start the emulator"):
        processes.start(
            "emulator",
            [str(tmp_path / "missing")],
            environment={},
            cwd=tmp_path,
            log=tmp_path / "log",
        )


def test_log_tail_is_the_end_from_a_line_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(1000)))

    tail = processes.log_tail(log)

    assert tail.endswith("line 999\n")
    assert tail.startswith("… line ")
    assert len(tail) < 3100


def test_identity_differs_between_processes_started_apart(tmp_path: Path) -> None:
    assert processes.identity_of(os.getpid()) == processes.identity_of(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert processes.identity_of(ended.pid) is None
