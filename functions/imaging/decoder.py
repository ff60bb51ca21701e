"""Prepares images in a separate process, which may crash or be killed without harm.

`limits` rejects files known to be expensive; this process contains the ones we did not foresee.
It is kept for the next image. If it dies, we distinguish how. Hitting its CPU limit means that the
image is too slow to decode; two crashes (SIGSEGV and similar) mean that the image crashes the
decoder: both reject the image. After a kill from outside the image is retried.

Bytes and JSON go through pipes, never pickles: the answer of a process that has read a hostile file
is not trusted either. multiprocessing would use pickles, and queues that need /dev/shm, which
Lambda lacks.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from imaging.outcome import Prepared, Rejection, RejectReason, Thumbnail
from imaging.spec import ImageSpec

Outcome = TypeVar("Outcome")

PROGRAM = Path(__file__).with_name("decoder_process.py")
# The most expensive image that `limits` allows takes about two seconds of one core.
CPU_SECONDS = 4
# Four decoded images at their limits do not fit, one does: 200 MB, the file twice, the result.
MEMORY_BYTES = 512 * 1024 * 1024
# For waiting: a machine that gives the process no time for this long is not the image's fault.
WALL_SECONDS = 60.0
# The signals that end a crashing decoder.
CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL})
# The process keeps freed memory for the next image instead of returning it: glibc up
# to 64 MB, Pillow up to 16 of its blocks of 1 MB. Saves 1 ms of 5 at 500 x 375 (bench/decoder.py).
HEAP_VARIABLES = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
    "PILLOW_BLOCKS_MAX": "16",
}
MAX_ANSWER_BYTES = 64 * 1024
# 1,024 x 1,024 pixels of noise are 0.9 MB.
MAX_THUMBNAIL_BYTES = 4 * 1024 * 1024


class DecoderError(Exception):
    """The process ended or did not answer through no fault of the image, or it met a bug."""


@dataclass(frozen=True, slots=True)
class _ProcessEndedError(Exception):
    """The process has ended; `signal_number` is 0 if no signal ended it."""

    signal_number: int


class Decoder:
    """Prepares images in another process, which starts with the first image.

    It ends with `close`, or with this process, when its input ends. Threads take turns.
    """

    def __init__(self, cpu_seconds: int = CPU_SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes}
        self.program = PROGRAM
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, data: bytes, spec: ImageSpec) -> Prepared | Rejection:
        """Prepares a file like `imaging.prepare`; also rejects it if it takes too long or too much
        memory, or crashes the decoder.

        Raises:
            DecoderError: a failure that is not the image's fault; it may be retried.
        """

        def read(answer: dict[str, Any], receive: Callable[[int], bytes]) -> Prepared:
            return Prepared(pixels=receive(spec.image_bytes), **answer)

        return self._do(data, {"spec": spec.to_json()}, read)

    def thumbnail(self, data: bytes, size: int) -> Thumbnail | Rejection:
        """Makes a thumbnail like `imaging.thumbnail.make_thumbnail`, with the limits of `prepare`.

        Raises:
            DecoderError: a failure that is not the image's fault; it may be retried.
        """

        def read(answer: dict[str, Any], receive: Callable[[int], bytes]) -> Thumbnail:
            count = answer.pop("webp_bytes")
            if count > MAX_THUMBNAIL_BYTES:
                raise ValueError(f"a thumbnail of {count} bytes")
            return Thumbnail(receive(count), **answer)

        return self._do(data, {"thumbnail": size}, read)

    def _do(
        self,
        data: bytes,
        task: dict[str, object],
        read: Callable[[dict[str, Any], Callable[[int], bytes]], Outcome],
    ) -> Outcome | Rejection:
        with self._lock:
            for last in (False, True):
                try:
                    return self._ask(data, task, read)
                except _ProcessEndedError as ended:
                    verdict = _verdict(ended.signal_number)
                    if verdict is RejectReason.TOO_SLOW or (verdict is not None and last):
                        return Rejection(verdict, f"signal {ended.signal_number}")
        raise DecoderError("the decoder's process was ended from outside, twice")

    def close(self) -> None:
        """Ends the process; the next image starts another one."""
        with self._lock:
            self._end()

    @property
    def process_id(self) -> int | None:
        """Returns the id of the current process; None if there is none."""
        return None if self._process is None else self._process.pid

    def _ask(
        self,
        data: bytes,
        task: dict[str, object],
        read: Callable[[dict[str, Any], Callable[[int], bytes]], Outcome],
    ) -> Outcome | Rejection:
        process = self._process = self._process or self._start()
        deadline = time.monotonic() + WALL_SECONDS
        try:
            _send(process, {"bytes": len(data)} | task, data)
            answer = json.loads(_receive(process, _length(process, deadline), deadline))
            if "bug" in answer:
                raise DecoderError(str(answer["bug"]))
            if "reason" in answer:
                return Rejection(**answer | {"reason": RejectReason(answer["reason"])})
            return read(answer, lambda count: _receive(process, count, deadline))
        except (BrokenPipeError, EOFError):
            raise _ProcessEndedError(-min(0, self._end())) from None
        except (TimeoutError, ValueError, TypeError) as error:
            self._end()
            raise DecoderError(f"the decoder's process: {error}") from error

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-S", self.program, json.dumps(self._limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Decoders may write anything there; a log must have no content of an image.
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    def _end(self) -> int:
        """Ends the process; returns its exit status, negative for a signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        # Without input an idle process ends; bytes that it has not read are dropped.
        with contextlib.suppress(BrokenPipeError):
            cast(BinaryIO, process.stdin).close()
        try:
            # It may be about to end by itself; then its exit status is the verdict.
            status = process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        cast(BinaryIO, process.stdout).close()
        return status


def _environment() -> dict[str, str]:
    """Returns the variables for Python, its libraries and Pillow only: no credentials."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PATH") if name in os.environ}
    return kept | HEAP_VARIABLES | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _verdict(signal_number: int) -> RejectReason | None:
    if signal_number == signal.SIGXCPU:
        return RejectReason.TOO_SLOW
    return RejectReason.DECODER_CRASHED if signal_number in CRASHES else None


def _send(process: subprocess.Popen[bytes], header: dict[str, object], data: bytes) -> None:
    line, pipe = json.dumps(header).encode(), cast(BinaryIO, process.stdin)
    pipe.write(len(line).to_bytes(4, "big") + line)
    pipe.write(data)
    pipe.flush()


def _length(process: subprocess.Popen[bytes], deadline: float) -> int:
    length = int.from_bytes(_receive(process, 4, deadline), "big")
    if length > MAX_ANSWER_BYTES:
        raise ValueError(f"an answer of {length} bytes")
    return length


def _receive(process: subprocess.Popen[bytes], count: int, deadline: float) -> bytes:
    """Reads exactly so many bytes."""
    descriptor, left = cast(BinaryIO, process.stdout).fileno(), count
    parts: list[bytes] = []
    while left:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"no answer in {WALL_SECONDS:.0f} seconds")
        part = os.read(descriptor, left)
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def described(prepared: Prepared) -> dict[str, object]:
    """Returns the members of a prepared image other than its pixels."""
    return {name: value for name, value in asdict(prepared).items() if name != "pixels"}
