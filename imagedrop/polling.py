"""Poll something until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

State = TypeVar("State")


def poll(
    look: Callable[[], State],
    has_ended: Callable[[State], bool],
    pause_seconds: float,
    pause_factor: float = 0.0,
) -> Iterator[State]:
    """Yields what `look` returns, again and again, the last time when it has ended.

    Args:
        pause_seconds: the shortest pause between two looks.
        pause_factor: a pause lasts at least this many times as long as the look before it.
    """
    while True:
        began = time.monotonic()
        state = look()
        yield state
        if has_ended(state):
            return
        time.sleep(max(pause_seconds, pause_factor * (time.monotonic() - began)))
