"""A matter of speed: MiniStack waits for the log of every invocation, as it knows no end of it.

If a function writes nothing, that takes 50 ms, thirty times as long as the rest of most calls; a
line that comes later is in the log of the next invocation. Here the worker itself ends its log,
with a last line that is not shown.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_DRAIN_LOOKS = "3fd7cc742872"
_MARK = "<end of the invocation's log>"
# In MiniStack's worker script, after the answer was written and before it is sent.
_SEND = "        _real_stdout.flush()\n"
_END_AND_SEND = f'        print("{_MARK}", file=sys.stderr, flush=True)\n{_SEND}'
_PATIENCE_SECONDS = 0.25  # MiniStack's own: the process may have been killed


def ending_its_log(worker_script: str) -> str:
    """Return the worker script, changed to end its log before it answers."""
    before, found, after = worker_script.rpartition(_SEND)
    if not found or after.strip() not in ("", "run()"):
        raise patching.UnexpectedMiniStackError("the worker script answers differently")
    return before + _END_AND_SEND + after


def install() -> None:
    """Read an invocation's log up to its end."""
    runtime = patching.module("core.lambda_runtime")

    def drain(original: Callable[..., str]) -> Callable[..., str]:
        def up_to_the_mark(worker: Any, **waits: float) -> str:
            in_python = str(worker.config.get("Runtime")).startswith("python")
            if worker._proc is None or not in_python:  # it was killed, or knows no mark
                return original(worker, **waits)
            return "\n".join(_lines(worker._stderr_queue))

        return up_to_the_mark

    patching.replace(runtime.Worker, "_drain_stderr_bounded", _DRAIN_LOOKS, drain)


def _lines(written: queue.Queue[str]) -> list[str]:
    lines: list[str] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = written.get(timeout=left)
        except queue.Empty:
            break
        # Output without a line end is before the mark in the same line.
        text, mark, _ = line.partition(_MARK)
        if text or not mark:
            lines.append(text)
        if mark:
            break
    return lines
