"""A circuit breaker: after a few failures in a row, the endpoint is not called for a while.

Each execution environment has one, so at most `ClassifyConcurrency` calls reach a failed endpoint
in each pause. It protects the endpoint, not the messages, which may meet an environment with a
closed
breaker. The receive count that messages carry makes them outlast an outage:
`TRANSIENT_FAULT_SECONDS` in `retries.py`.
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
# Kept short: a message with its last try in a pause is given up even if the endpoint works again.
LONGEST_PAUSE_SECONDS = 300.0


@dataclass(slots=True)
class GuardedEndpoint:
    """An endpoint behind a circuit breaker.

    Closed: calls pass. After FAILURES_TO_OPEN transient failures in a row it opens, and calls fail
    at once until the pause is over. Then one call passes: if it fails, the pause doubles; if it
    succeeds, the breaker closes. Any other error, such as a refusal, shows that the endpoint works
    and closes it too.
    """

    endpoint: Endpoint
    monotonic: Callable[[], float]
    _failures: int = 0
    _pause_seconds: float = field(default=FIRST_PAUSE_SECONDS)
    _open_until: float = 0.0

    def classify(
        self, body: bytes, spec: ImageSpec, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        """Calls the endpoint unless the breaker is open.

        Raises:
            TransientError: also with the code "CircuitOpen", when the breaker is open.
            Exception: any other error of the endpoint.
        """
        if (left := self._open_until - self.monotonic()) > 0:
            message = f"the endpoint is not called for {left:.0f} more seconds"
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
