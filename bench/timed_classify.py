"""``ClassifyFunction`` as deployed, which also writes when each image's row was there.

``bench.latency`` and ``bench.growth`` put it into the function's bundle. One line a batch: when the
call began, and for each image when its message was sent and when its row was written; the seconds
of the steps, where threads that work at once count each.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from classify_steps import wrap_steps, write_line

from handlers import classify
from pipeline.events import parse_queue_body

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

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


wrap_steps(timed)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    began = time.time()
    answer: dict[str, Any] = classify.handler(event, context)
    sent = {
        ref.key: int(message["attributes"]["SentTimestamp"]) / 1000
        for message in event["Records"]
        for ref in parse_queue_body(message["body"])
    }
    line = {"began": began, "ended": time.time(), "sent": sent, "written": written.copy()}
    write_line(line | {"seconds": dict(seconds)})
    written.clear()
    seconds.clear()
    return answer
