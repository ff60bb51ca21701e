"""``ClassifyFunction`` as deployed, which also writes the CPU of its steps, one line per batch.

``bench.drop`` puts it into the function's bundle. A step's CPU is that of its thread, without
waiting (for "prepare", that of the decoder and of the thread that calls it). The rest is parsing,
packing, logs and threads.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from classify_steps import wrap_steps, write_line

from handlers import classify
from imaging.decoder import Decoder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class StepClock:
    """CPU seconds by step, summed over threads."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._other_processes_seconds = 0.0
        self._lock = threading.Lock()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            decoder = args[0].process_id if isinstance(args[0], Decoder) else None
            began, decoder_began = time.thread_time(), process_seconds(decoder)
            try:
                return function(*args, **kwargs)
            finally:
                decoder_seconds = process_seconds(decoder) - decoder_began
                seconds = time.thread_time() - began + decoder_seconds
                with self._lock:
                    self._seconds[step] += seconds
                    self._other_processes_seconds += decoder_seconds

        return run

    def take(self) -> tuple[dict[str, float], float]:
        """Returns the CPU since the last call, and the part of it in other processes."""
        with self._lock:
            taken = dict(self._seconds), self._other_processes_seconds
            self._seconds.clear()
            self._other_processes_seconds = 0.0
        return taken


def process_seconds(pid: int | None) -> float:
    """CPU time of another process so far: the clock that clock_getcpuclockid(3) names."""
    scheduler_clock = 2
    return 0.0 if pid is None else time.clock_gettime((~pid << 3) | scheduler_clock)


clock = StepClock()
wrap_steps(clock.timed)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    began = time.process_time()
    answer: dict[str, Any] = classify.handler(event, context)
    steps, elsewhere = clock.take()
    steps["rest"] = time.process_time() - began + elsewhere - sum(steps.values())
    steps["images"] = len(event["Records"])
    write_line(steps)
    return answer
