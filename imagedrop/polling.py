"""Poll something until it has ended, or rows of the table until they are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.records import Record

ROWS_PAUSE_SECONDS = 0.5

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


def poll_rows(
    table: PredictionsTable,
    images: Collection[str],
    is_wanted: Callable[[Record], bool],
    patience_seconds: float,
    on_rows: Callable[[int], None],
) -> dict[str, Record]:
    """Waits until each image has the wanted row; returns those rows by image.

    Stops after ``patience_seconds`` without another one.

    Args:
        on_rows: is told of how many more there are.
    """
    rows: dict[str, Record] = {}
    deadline = time.monotonic() + patience_seconds
    while len(rows) < len(images) and time.monotonic() < deadline:
        found = table.get_many([each for each in images if each not in rows])
        new = {image: row for image, row in found.items() if is_wanted(row)}
        if new:
            rows |= new
            on_rows(len(new))
            deadline = time.monotonic() + patience_seconds
        else:
            time.sleep(ROWS_PAUSE_SECONDS)
    return rows
