"""A service with a fixed rate, first come, first served."""

from __future__ import annotations

from collections.abc import Callable


class Rate:
    """A fluid queue: work waits until the work before it is done.

    Args:
        per_second: the rate at a moment, in units of work.
    """

    def __init__(self, per_second: Callable[[float], float]) -> None:
        self._per_second = per_second
        self._free_at = 0.0

    def wait_seconds(self, at: float, work: float) -> float:
        """Returns how long this work, which comes at a moment, waits for the work before it."""
        begins = max(self._free_at, at)
        self._free_at = begins + work / self._per_second(at)
        return begins - at
