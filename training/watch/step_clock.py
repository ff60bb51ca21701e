"""Clocks of a training's steps: by the wall on a CPU, by events of the GPU where there is one.

A GPU computes asynchronously, so the wall time of a call says nothing about it. Events
are marks in its own queue; their times are read once an epoch, because reading waits for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Protocol, TypeVar

import torch

from training.watch.observer import StepSeconds

MARKS = 5
"""Of a step: asked for the batch, began, forward done, backward done, optimizer done."""


class Event(Protocol):
    """The part of `torch.cuda.Event` that is used."""

    def record(self) -> None: ...

    def synchronize(self) -> None: ...

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds."""


class WallClock:
    """Takes the times when they are marked."""

    def __init__(self) -> None:
        self._marks: list[float] = []

    def mark(self) -> None:
        """Notes the end of one part of a step and the begin of the next."""
        self._marks.append(perf_counter())

    def read(self) -> list[StepSeconds]:
        """The seconds of the steps since the last reading."""
        marks, self._marks = self._marks, []
        return _steps(marks, lambda begin, end: end - begin)


class EventClock:
    """Puts a mark into the GPU's queue; the wait for a batch is the time that the GPU had none."""

    def __init__(self, new_event: Callable[[], Event]) -> None:
        self._new_event = new_event
        self._marks: list[Event] = []

    def mark(self) -> None:
        """Notes where the queue is now, without waiting for it."""
        event = self._new_event()
        event.record()
        self._marks.append(event)

    def read(self) -> list[StepSeconds]:
        """Waits for the last mark, then returns the seconds of the steps since the last reading."""
        marks, self._marks = self._marks, []
        if marks:
            marks[-1].synchronize()
        return _steps(marks, lambda begin, end: begin.elapsed_time(end) / 1000)


Clock = WallClock | EventClock


def clock_for(device: torch.device) -> Clock:
    """The clock that tells the time of computing on a device."""
    if device.type == "cuda":
        return EventClock(_cuda_event)
    return WallClock()


def _cuda_event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


Mark = TypeVar("Mark")


def _steps(marks: Sequence[Mark], between: Callable[[Mark, Mark], float]) -> list[StepSeconds]:
    return [
        StepSeconds(*(between(*marks[start + part : start + part + 2]) for part in range(4)))
        for start in range(0, len(marks) - MARKS + 1, MARKS)
    ]
