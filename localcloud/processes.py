"""Start and stop processes that outlive the command, and find free ports for them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0  # the kernel's own time, on a busy machine
_LOG_TAIL_BYTES = 3000


class LocalCloudError(Exception):
    """The local cloud could not do what was asked; the message says why and what to do next."""


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """A process that is recognised after a reboot, when its pid may be another process."""

    name: str
    pid: int
    identity: str  # its start time, from the kernel
    log: str

    @property
    def is_alive(self) -> bool:
        """Whether this process still runs."""
        return identity_of(self.pid) == self.identity

    def log_tail(self) -> str:
        """The last lines of its output."""
        return log_tail(Path(self.log))


def start(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: Path
) -> StartedProcess:
    """Start `command` detached, in a new process group, with its output in `log`.

    Raises:
        LocalCloudError: it cannot be started, or ended immediately.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise LocalCloudError(f"Cannot start the {name}: {error}") from error
    identity = identity_of(process.pid)
    if identity is None:
        raise LocalCloudError(f"The {name} ended immediately:\n{log_tail(log)}")
    return StartedProcess(name=name, pid=process.pid, identity=identity, log=str(log))


def stop(process: StartedProcess, *, grace_seconds: float) -> None:
    """Stop the process and its children: SIGTERM, and SIGKILL after `grace_seconds`.

    Does nothing when the process has ended, even if its pid belongs to another process now.
    """
    if not process.is_alive:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)  # it ends its own children
    if not _gone_within(process, grace_seconds):
        kill_group(process.pid)
        _gone_within(process, _KILL_SECONDS)
    kill_group(process.pid)  # children that outlived it keep its process group


def kill_group(pid: int) -> None:
    """Kill a process group, if any of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def identity_of(pid: int) -> str | None:
    """Return when the process with this pid started; None without such a process (or a zombie)."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child stays a zombie until it is waited for
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The second field is the command in parentheses and may hold anything.
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else f"boot ticks {fields[19]}"
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=1)
    return found[1].strip() if len(found) > 1 and not found[0].startswith("Z") else None


def log_tail(log: Path) -> str:
    """The last lines of a log file, at most 3,000 bytes."""
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return ""
    tail = content[-_LOG_TAIL_BYTES:].decode(errors="replace")
    return tail if len(content) <= _LOG_TAIL_BYTES else "… " + tail.partition("\n")[2]


def _gone_within(process: StartedProcess, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.is_alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def free_ports(preferred: list[int]) -> list[int]:
    """Return one free port for each of `preferred`: that port when it is free, else any."""
    held: list[socket.socket] = []
    try:
        for port in preferred:
            held.append(_bind(port) or _bind_any())
        return [int(holder.getsockname()[1]) for holder in held]
    finally:
        for holder in held:
            holder.close()


def _bind(port: int) -> socket.socket | None:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do: a port in TIME_WAIT is free.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((HOST, port))
    except OSError:
        holder.close()
        return None
    return holder


def _bind_any() -> socket.socket:
    holder = _bind(0)
    if holder is None:
        raise OSError("no free port on 127.0.0.1")
    return holder
