"""``ClassifyFunction`` as deployed, which also writes when each image's row was there.

``bench.latency`` and ``bench.growth`` put it into the function's bundle. One line a batch: when the
call began, and for each image when its message was sent and when its row was written; the seconds
of the steps, where threads that work at once count each.
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
from imaging.decoder import Decoder
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.events import parse_queue_body

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

FOLDER_VARIABLE = "BENCH_STEPS_FOLDER"
STEPS = {
    "read": (ImagesBucket, "read"),
    "prepare": (Decoder, "prepare"),
    "call": (ModelEndpoint, "classify"),
    "write": (PredictionsTable, "write"),
}

lock = threading.Lock()
seconds: defaultdict[str, float] = defaultdict(float)
written: dict[str, float] = {}


def timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        began = time.time()
        try:
            return function(*args, **kwargs)
        finally:
            with lock:
                seconds[step] += time.time() - began
                if step == "write":
                    written[args[1].key] = time.time()

    return run


for _step, (_owner, _name) in STEPS.items():
    mock.patch.object(_owner, _name, timed(_step, getattr(_owner, _name))).start()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    began = time.time()
    answer: dict[str, Any] = classify.handler(event, context)
    sent = {
        ref.key: int(message["attributes"]["SentTimestamp"]) / 1000
        for message in event["Records"]
        for ref in parse_queue_body(message["body"])
    }
    line = {"began": began, "ended": time.time(), "sent": sent, "written": written.copy()}
    path = Path(os.environ[FOLDER_VARIABLE], f"{os.getpid()}.jsonl")
    with path.open("a") as file:
        file.write(json.dumps(line | {"seconds": dict(seconds)}) + "\n")
    written.clear()
    seconds.clear()
    return answer
