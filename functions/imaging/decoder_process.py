"""The process of `decoder.Decoder`: images on its input, prepared pixels on its output.

Run as a program; its argument is a JSON object with `cpu_seconds`, for each image, and
`memory_bytes`. It ends when its input does.
"""

import json
import math
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

# A program finds modules in its own folder first, and `imaging` is not there.
sys.path[0] = str(Path(__file__).parents[1])

from PIL import AvifImagePlugin  # noqa: E402

from imaging import Rejection, RejectReason, prepare  # noqa: E402
from imaging.decoder import described  # noqa: E402
from imaging.outcome import Prepared, Thumbnail  # noqa: E402
from imaging.spec import ImageSpec  # noqa: E402
from imaging.thumbnail import make_thumbnail  # noqa: E402


def main() -> None:
    """Prepares images until the input ends."""
    limits = json.loads(sys.argv[1])
    # Private writable memory; mapped files, such as Python and Pillow, do not count.
    resource.setrlimit(resource.RLIMIT_DATA, (limits["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A thread for each core of the machine would need a stack each in that memory.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # When a process group is stopped, the parent may finish its work; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)  # also if the parent ignores it
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while length := requests.read(4):
        header = json.loads(requests.read(int.from_bytes(length, "big")))
        data = requests.read(header["bytes"])
        if len(data) < header["bytes"]:
            return
        _limit_cpu(limits["cpu_seconds"])
        _answer(answers, data, header)


def _limit_cpu(seconds: int) -> None:
    """Limits the CPU time from now on; the system's limit counts from the process's start."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _answer(answers: BinaryIO, data: bytes, header: dict[str, Any]) -> None:
    content = b""
    outcome: Prepared | Thumbnail | Rejection | str
    try:
        if "thumbnail" in header:
            outcome = make_thumbnail(data, header["thumbnail"])
        else:
            outcome = prepare(data, ImageSpec.from_json(header["spec"]))
    except MemoryError:
        outcome = Rejection(RejectReason.TOO_MUCH_MEMORY, "more memory than decoding may take")
    except Exception:  # noqa: BLE001 - sent to the other process, which raises it
        outcome = traceback.format_exc(limit=-5)
    told: dict[str, object]
    if isinstance(outcome, Prepared):
        content, told = outcome.pixels, described(outcome)
    elif isinstance(outcome, Thumbnail):
        content = outcome.webp
        told = {"webp_bytes": len(content), "width": outcome.width, "height": outcome.height}
    elif isinstance(outcome, Rejection):
        told = {
            "reason": outcome.reason,
            "detail": outcome.detail,
            "format": outcome.format,
            "width": outcome.width,
            "height": outcome.height,
        }
    else:
        told = {"bug": outcome}
    line = json.dumps(told).encode()
    answers.write(len(line).to_bytes(4, "big") + line + content)
    answers.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # The parent is gone.
        os._exit(0)
