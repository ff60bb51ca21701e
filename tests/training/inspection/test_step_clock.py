"""Times of steps are those of the device, and reading them waits for it once an epoch."""

from __future__ import annotations

from time import sleep

import pytest
import torch

from training.watch.step_clock import MARKS, EventClock, WallClock, clock_for


class Queue:
    """A device that computes later than it is asked to; it counts who waits for it."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.waits = 0

    def event(self) -> Marked:
        return Marked(self)


class Marked:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.at = -1.0

    def record(self) -> None:
        self.at = self.queue.now_ms

    def synchronize(self) -> None:
        self.queue.waits += 1

    def elapsed_time(self, end_event: Marked) -> float:
        assert self.queue.waits, "read before it was waited for"
        return end_event.at - self.at


def test_events_are_read_once_for_all_steps() -> None:
    queue = Queue()
    clock = EventClock(queue.event)
    for _ in range(2):
        for part_ms in (0.0, 1.0, 20.0, 40.0, 2.0):  # the first until it is asked for a batch
            queue.now_ms += part_ms
            clock.mark()
    clock.mark()  # the next batch is asked for, and none comes
    assert queue.waits == 0

    steps = clock.read()

    assert queue.waits == 1
    assert len(steps) == 2
    for step in steps:
        parts = (step.data, step.forward, step.backward, step.optimizer)
        assert parts == pytest.approx((0.001, 0.02, 0.04, 0.002))
    assert clock.read() == []


def test_wall_clock_tells_the_parts_apart() -> None:
    clock = WallClock()
    for _ in range(MARKS):
        clock.mark()
        sleep(0.005)

    (step,) = clock.read()

    assert min(step.data, step.forward, step.backward, step.optimizer) >= 0.004


def test_cpu_is_timed_by_the_wall() -> None:
    assert isinstance(clock_for(torch.device("cpu")), WallClock)
    assert isinstance(clock_for(torch.device("cuda")), EventClock)
