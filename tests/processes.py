"""Processes that a test starts, and that end with it, whatever fails."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def running(arguments: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Starts a process in a new process group; the end of the block kills the rest of the group.

    It reacts to SIGINT however the tests were started: a shell ignores SIGINT in its background
    jobs, and everything that those start would inherit that.

    Args:
        options: further arguments of Popen.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen(arguments, start_new_session=True, text=True, **options)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
