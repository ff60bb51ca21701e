"""The time that Lambda leaves a function: when it must begin no more work.

If Lambda ends ``ClassifyFunction``, its whole batch is retried after the visibility timeout. So it
never begins work that might not finish; tests/unit/handlers/test_time_budget.py adds up the times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A read or an endpoint call (62 s) leaves time for a write after it, and a write or a call of the
# queue takes 9 s at most.
LAST_START_SECONDS = 73
# Reads stop earlier: those that have begun, four of at most 2 s of CPU each, end before the
# endpoint must be called, and a slow batch sends the images that it has.
LAST_READ_SECONDS = 82
LAST_WRITE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """The work for which the time of a call of ``ClassifyFunction`` still suffices.

    ``remaining_ms`` is Lambda's ``context.get_remaining_time_in_millis``.
    """

    remaining_ms: Callable[[], int]

    def out_of_time(self) -> bool:
        """Returns whether no endpoint call may begin."""
        return self.remaining_ms() < 1000 * LAST_START_SECONDS

    def too_late_to_read(self) -> bool:
        return self.remaining_ms() < 1000 * LAST_READ_SECONDS

    def too_late_to_write(self) -> bool:
        """Returns whether no write and no call of the queue may begin."""
        return self.remaining_ms() < 1000 * LAST_WRITE_SECONDS


def deadline(remaining_ms: Callable[[], int], seconds: float) -> Callable[[], bool]:
    """Returns a function: whether Lambda stops this call in less than so many seconds."""
    return lambda: remaining_ms() < 1000 * seconds
