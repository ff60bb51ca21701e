"""Leaves a dead endpoint alone: after a few failures in a row nobody calls it for a while.

Each execution environment of the function has its own, so at most `ClassifyConcurrency` calls reach
a dead endpoint in each pause. It spares the endpoint, not the messages: a message may meet an
environment that knows nothing yet. What makes the messages last is the count that they carry
themselves: `TRANSIENT_FAULT_SECONDS` in `retries.py`.
M. Nygard, "Release It!" (2007), chapter 5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from imaging import ImageSpec
from imaging.pixel_encoding import NPY, PixelEncoding
from pipeline.answers import Answer
from pipeline.classify_images import Endpoint
from pipeline.errors import TransientError

FAILURES_TO_OPEN = 3
FIRST_PAUSE_SECONDS = 30.0
# A message whose last try falls into a pause that outlasts the outage is given up for nothing.
LONGEST_PAUSE_SECONDS = 300.0


@dataclass(slots=True)
class GuardedEndpoint:
    """An endpoint behind a circuit breaker.

    Closed: calls pass. After FAILURES_TO_OPEN transient failures in a row it opens, and calls fail
    at once until the pause is over; then one call passes, whose failure doubles the pause and
    whose success closes it. An answer of any other kind, a refusal too, shows that the endpoint
    lives.
    """

    endpoint: Endpoint
    monotonic: Callable[[], float]
    _failures: int = 0
    _pause_seconds: float = field(default=FIRST_PAUSE_SECONDS)
    _open_until: float = 0.0

    def classify(
        self, body: bytes, spec: ImageSpec, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        """
        Raises:
            TransientError: also when the endpoint was not asked, with the code "CircuitOpen".
            Exception: whatever else the endpoint raises.
        """
        if (left := self._open_until - self.monotonic()) > 0:
            message = f"the endpoint is not asked for {left:.0f} more seconds"
            raise TransientError("CircuitOpen", message, left)
        try:
            answers = self.endpoint.classify(body, spec, image_count, encoding)
        except TransientError as error:
            self._note_failure()
            error.retry_after_seconds = max(0.0, self._open_until - self.monotonic())
            raise
        except Exception:
            self._close()
            raise
        self._close()
        return answers

    def _note_failure(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN:
            self._open_until = self.monotonic() + self._pause_seconds
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _close(self) -> None:
        self._failures = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._open_until = 0.0
