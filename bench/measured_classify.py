"""``ClassifyFunction`` as it is deployed, and beside it the CPU of its steps, a line a batch.

Goes into the function's bundle while ``bench.drop`` measures; a step's CPU is that of the thread
it runs in, so what threads wait for is not counted, and what the steps do not account for
(parsing, packing, logs, threads) is the rest.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from handlers import classify
from pipeline import classify_images
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

FOLDER_VARIABLE = "BENCH_STEPS_FOLDER"
STEPS = {
    "read": (ImagesBucket, "read"),
    "prepare": (classify_images, "prepare"),
    "call": (ModelEndpoint, "classify"),
    "write": (PredictionsTable, "write"),
}


class StepClock:
    """CPU seconds by step, summed over threads."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds = time.thread_time() - began
                with self._lock:
                    self._seconds[step] += seconds

        return run

    def take(self) -> dict[str, float]:
        """What has come together since the last time."""
        with self._lock:
            taken = dict(self._seconds)
            self._seconds.clear()
        return taken


clock = StepClock()
for _step, (_owner, _name) in STEPS.items():
    mock.patch.object(_owner, _name, clock.timed(_step, getattr(_owner, _name))).start()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    began = time.process_time()
    answer: dict[str, Any] = classify.handler(event, context)
    steps = clock.take()
    steps["rest"] = time.process_time() - began - sum(steps.values())
    steps["images"] = len(event["Records"])
    path = Path(os.environ[FOLDER_VARIABLE], f"{os.getpid()}.jsonl")
    with path.open("a") as file:
        file.write(json.dumps(steps) + "\n")
    return answer
