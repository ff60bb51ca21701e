"""Gap: SQS event source mappings ignore MaximumBatchingWindowInSeconds and BatchSize above 10.

On AWS a mapping waits until there are BatchSize messages or the window, counted from the first
message, is over; a standard queue allows batches of up to 10,000.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from localcloud.emulator import patching

_RECEIVE_LOOKS = "f230dbcd4974"
_CONCURRENCY_LOOKS = "d3e9d1e865aa"
_NOT_YET = 0  # no batch may be in flight: the poller leaves the queue alone this time


def install() -> None:
    """Make mappings wait for their batch and receive all of it."""
    sqs = patching.module("services.sqs")
    lambda_service = patching.module("services.lambda_svc")
    wake = patching.module("core.concurrency").esm_wake

    def receive(_original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda queue_url, batch_size: _receive(sqs, queue_url, int(batch_size))

    def concurrency(original: Callable[..., int]) -> Callable[..., int]:
        def limit(esm: Any, func_rec: Any, config: Any, queue: Any = None) -> int:
            rest_seconds = _rest_of_window_seconds(esm, queue)
            if rest_seconds > 0:
                _wake_later(wake, rest_seconds)
                return _NOT_YET
            return original(esm, func_rec, config, queue)

        return limit

    patching.replace(sqs, "_receive_messages_for_esm", _RECEIVE_LOOKS, receive)
    patching.replace(lambda_service, "_sqs_esm_concurrency", _CONCURRENCY_LOOKS, concurrency)


def _receive(sqs: Any, queue_url: str, batch_size: int) -> Any:
    """As the original, without its ceiling of 10 messages."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        visibility_timeout_seconds = int(queue["attributes"].get("VisibilityTimeout", "30"))
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        return sqs._collect_msgs(queue, max(1, batch_size), visibility_timeout_seconds)


def _rest_of_window_seconds(esm: dict[str, Any], queue: dict[str, Any] | None) -> float:
    """Return how long the mapping should still wait for more messages; 0 when it should not."""
    window_seconds = float(esm.get("MaximumBatchingWindowInSeconds") or 0)
    if not queue or window_seconds <= 0:
        return 0.0
    now = time.time()
    batch_size = int(esm.get("BatchSize", 10))
    # A copy: other threads append and remove while this one looks.
    ready = (m["visible_at"] for m in list(queue["messages"]) if m.get("visible_at", 0) <= now)
    waiting_since = list(islice(ready, batch_size))
    if not waiting_since or len(waiting_since) >= batch_size:
        return 0.0
    return max(0.0, float(min(waiting_since)) + window_seconds - now)


_timer_lock = threading.Lock()
_wake_at = 0.0


def _wake_later(wake: threading.Event, seconds: float) -> None:
    """Wake the poller when a window ends; one timer is enough for windows that end together."""
    global _wake_at  # noqa: PLW0603 - the poller is one thread of one process
    due = time.monotonic() + seconds
    with _timer_lock:
        if time.monotonic() < _wake_at <= due + 0.05:
            return
        _wake_at = due
    timer = threading.Timer(seconds, wake.set)
    timer.daemon = True
    timer.start()
