"""A discrete-event simulation of dropped images: queue, functions, endpoint, table.

An execution environment of `ClassifyFunction` is a process that takes batches from the queue. While
the queue is long it takes several batches in one step, so that 100 million images need as many
steps as 100 thousand; what waits for a service waits in a `Rate`. An arrival is an event only while
an environment waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, inf
from typing import Any

import simpy

from imagedrop.estimates.stack import (
    BATCH_IMAGES,
    QUEUE_SECONDS,
    SCALE_OUT_CALLS_A_MINUTE,
    TRIES,
)
from imagedrop.estimates.usage import DropUsage
from imagedrop.growth.figures import Figures
from imagedrop.growth.limits import (
    Load,
    Stack,
    answer_milliseconds,
    function_milliseconds,
    limits,
    rows_per_second,
)
from imagedrop.growth.machine import Machine, SharedCores
from imagedrop.growth.rates import Rate
from pipeline.retries import TRANSIENT_FAULT_SECONDS

# Environments, or instances, have started by then.
SETTLED_SECONDS, SETTLED_SECONDS_ON_INSTANCES = 100, 900
SETTLED_IMAGES = 1_000  # where few images come
KEPT_UP = 0.95  # of the lowest limit: above it a queue may grow for long
STEPS = 20_000  # of all environments together, about: the resolution of a long queue
# Of the arrivals, before a long queue and where each image counts; a finer one makes no difference.
TICKS, FINE_TICKS = 40_000, 200_000
WRITE_PATIENCE_SECONDS = 9.0  # two attempts of a write: pipeline/time_budget.py

Steps = Generator[simpy.Event, Any, None]


@dataclass(slots=True)
class Outcome:
    """The outcome for the images.

    Attributes:
        expired: images that SQS deleted, because their messages were too old; they are lost.
        waits: seconds from drop to row, each with its number of images; without a rate, all are
            dropped at the beginning.
        seconds: from the first drop to the last row.
        instances: of the endpoint that are paid for at the end; 0 if it is serverless.
        settled_from: the place in `waits` at which half of the rows were written; `settled_usage`
            is what had been used until then.
    """

    images: int
    rows: int = 0
    dead_letters: int = 0
    expired: int = 0
    seconds: float = 0.0
    waits: list[tuple[float, float]] = field(default_factory=list)
    usage: DropUsage = field(default_factory=DropUsage)
    instances: int = 0
    settled_from: int = 0
    settled_usage: DropUsage = field(default_factory=DropUsage)

    def percentile(self, percent: float) -> float:
        """Returns the seconds from drop to row that so many of 100 rows took at most."""
        left = sum(count for _, count in self.waits) * percent / 100
        for wait, count in sorted(self.waits):
            left -= count
            if left <= 1e-6:
                return wait
        return inf

    def continued(self, images: int, rate: float) -> Outcome:
        """Returns the outcome with more images, which behave as the second half of these."""
        if not images:
            return self
        late = self.waits[self.settled_from :]
        times = images / sum(count for _, count in late)
        more = self.usage.plus(self.settled_usage, times=-1)
        return replace(
            self,
            images=self.images + images,
            rows=self.rows + images,
            seconds=self.seconds + images / rate,
            waits=self.waits + [(wait, count * times) for wait, count in late],
            usage=replace(self.usage.plus(more, times), images=self.images + images),
        )


def simulate(load: Load, stack: Stack, figures: Figures, machine: Machine | None = None) -> Outcome:
    """Returns the outcome of a load; every image ends as a row, a dead letter, or expired.

    A rate that lasts and that the stack keeps up with is simulated until it has settled; the rest
    of its images fare as those of the second half of that time.

    Args:
        machine: on whose cores everything works, also what uploads; every image is simulated then.
            Without one each function has its own, as on AWS.
    """
    if machine:
        return _Drop(load, stack, figures, Resolution(TICKS, 1), machine).run()
    rate = load.arriving_per_second(figures)
    keeps_up = rate < KEPT_UP * limits(load, stack, figures)[0].images_per_second
    if load.images_per_second is None or not keeps_up:
        step = max(1, round(load.images / BATCH_IMAGES / STEPS))
        return _Drop(load, stack, figures, Resolution(TICKS, step)).run()
    seconds, ticks = SETTLED_SECONDS_ON_INSTANCES, TICKS
    if stack.is_serverless:  # each call of an image alone costs
        seconds, ticks = SETTLED_SECONDS, FINE_TICKS
    images = min(load.images, max(SETTLED_IMAGES, round(rate * seconds)))
    settled = replace(load, images=images)
    outcome = _Drop(settled, stack, figures, Resolution(ticks, 1)).run()
    return outcome.continued(load.images - images, rate)


@dataclass(frozen=True, slots=True)
class Resolution:
    """How finely a drop is simulated: the moments at which images come, and batches at a time."""

    ticks: int
    batches_a_step: int


@dataclass(slots=True)
class _Messages:
    """Images that were dropped at the same time and received equally often."""

    dropped_at: float
    count: int
    receives: int = 0


class _Drop:
    """One simulation. Times are seconds since the first drop."""

    def __init__(
        self,
        load: Load,
        stack: Stack,
        figures: Figures,
        resolution: Resolution,
        machine: Machine | None = None,
    ) -> None:
        self._load, self._stack, self._figures = load, stack, figures
        self._images_a_tick = max(1, round(load.images / resolution.ticks))
        self._images_a_step = BATCH_IMAGES * resolution.batches_a_step
        self._env = simpy.Environment()
        self._cores = SharedCores(self._env, machine) if machine else None
        self._queue: deque[_Messages] = deque()
        self._idle: list[simpy.Event] = []
        self._waited_for: simpy.Event | None = None
        self._outcome = Outcome(load.images)
        self._done = self._env.event()
        self._instances = 0 if stack.is_serverless else 1
        self._paid, self._paid_until = self._instances, 0.0
        self._calls_this_minute = 0
        self._per_second = load.arriving_per_second(figures)
        self._drops = self._drop()
        self._next: _Messages | None = None  # of the drops that are not in the queue yet
        self._function_seconds = function_milliseconds(stack, figures) / 1000
        self._answer_seconds = answer_milliseconds(stack, figures) / 1000
        self._answers = Rate(lambda _: self._instances / self._answer_seconds)
        self._table = Rate(lambda now: rows_per_second(now, figures))
        prefixes = load.prefixes(figures)
        self._reads = Rate(lambda _: prefixes * figures.prefix_gets_per_second)

    def run(self) -> Outcome:
        env = self._env
        env.process(self._upload() if self._cores else self._arrive())
        for number in range(self._stack.classify_concurrency):
            env.process(self._classify(number))
        if not self._stack.is_serverless:
            env.process(self._scale())
        env.run(until=self._done)
        self._pay(0)
        used = self._outcome.usage
        self._outcome.instances = self._paid
        used.images, used.capacity = self._load.images, self._stack.endpoint_capacity
        return self._outcome

    def _drop(self) -> Iterator[_Messages]:
        """Yields the images in the order in which they are dropped."""
        left, at = self._load.images, 0.0
        while left:
            count = min(self._images_a_tick, left)
            yield _Messages(at, count)
            left -= count
            at += count / self._per_second

    def _upload(self) -> Steps:
        """Drops the images on a machine whose cores that takes too."""
        yield self._env.timeout(self._figures.event_seconds)
        for each in self._drops:
            self._enqueue(_Messages(self._env.now - self._figures.event_seconds, each.count))
            yield self._spend("upload", each.count / self._per_second)

    def _arrive(self) -> Steps:
        """Wakes an environment when images come; one at work looks for them when it has ended."""
        self._next = next(self._drops)
        while coming := self._next:
            if self._idle:
                at = coming.dropped_at + self._figures.event_seconds
                yield self._env.timeout(max(0.0, at - self._env.now))
                if self._next is coming:
                    self._next = next(self._drops, None)
                    self._enqueue(coming)
            else:
                self._waited_for = self._env.event()
                yield self._waited_for

    def _look(self) -> None:
        """Puts into the queue what has come while no environment waited for it."""
        dropped_until = self._env.now - self._figures.event_seconds
        while self._next and self._next.dropped_at <= dropped_until:
            self._queue.append(self._next)
            self._next = next(self._drops, None)

    def _enqueue(self, messages: _Messages) -> None:
        self._queue.append(messages)
        for _ in range(min(len(self._idle), ceil(messages.count / self._images_a_step))):
            self._idle.pop().succeed()  # Lambda prefers a warm environment

    def _take(self) -> list[_Messages]:
        left = self._images_a_step
        taken: list[_Messages] = []
        while left and self._queue:
            first = self._queue[0]
            if self._env.now - first.dropped_at > QUEUE_SECONDS:
                self._outcome.expired += self._queue.popleft().count
                continue
            count = min(left, first.count)
            taken.append(_Messages(first.dropped_at, count, first.receives + 1))
            first.count -= count
            left -= count
            if not first.count:
                self._queue.popleft()
        return taken

    def _classify(self, number: int) -> Steps:
        """One environment: there when Lambda has come so far, started by its first batch."""
        env, figures = self._env, self._figures
        ahead = max(0.0, number + 1 - figures.first_batches)
        yield env.timeout(60 * ahead / figures.batches_added_per_minute)
        is_new = True
        while True:
            self._look()
            while not self._queue:
                yield self._idling()
            taken = self._take()
            began = env.now
            if is_new:
                yield env.timeout(figures.function_start_seconds)
                began = env.now
                if self._stack.is_serverless:
                    yield env.timeout(figures.serverless_start_seconds)
            is_new = False
            failed = yield from self._batches(taken)
            self._outcome.usage.function_seconds += env.now - began
            self._end(taken, failed)

    def _idling(self) -> simpy.Event:
        """Returns the event that there are images for this environment."""
        event = self._env.event()
        self._idle.append(event)
        if self._waited_for:
            self._waited_for.succeed()
            self._waited_for = None
        return event

    def _batches(self, taken: Sequence[_Messages]) -> Generator[simpy.Event, Any, bool]:
        """Reads, calls and writes; returns whether a service was too slow."""
        env, figures, used = self._env, self._figures, self._outcome.usage
        images = sum(each.count for each in taken)
        batches = ceil(images / BATCH_IMAGES)
        used.batches += batches
        self._calls_this_minute += batches
        own = images * self._function_seconds + batches * figures.call_milliseconds / 1000
        calls_at = env.now + self._reads.wait_seconds(env.now, images) + own
        answer = images * self._answer_seconds
        if not self._stack.is_serverless:
            answer += self._answers.wait_seconds(calls_at, images)
        if answer > batches * figures.call_timeout_seconds:
            yield env.timeout(calls_at + batches * figures.call_timeout_seconds - env.now)
            return True
        used.answer_seconds += answer
        yield self._spend("batch", calls_at + answer - env.now)
        # In the order in which they come to the table: a short batch may pass a long one.
        wait = self._table.wait_seconds(env.now, images)
        patience = batches * WRITE_PATIENCE_SECONDS
        if wait:
            yield env.timeout(min(wait, patience))
        return wait > patience

    def _spend(self, activity: str, seconds: float) -> simpy.Event:
        """Waits for something that takes so many seconds where nothing else works."""
        if self._cores:
            return self._cores.work(activity, seconds)
        return self._env.timeout(seconds)

    def _end(self, taken: Sequence[_Messages], failed: bool) -> None:
        now, outcome = self._env.now, self._outcome
        for each in taken:
            if not failed:
                if outcome.rows <= outcome.images / 2 < outcome.rows + each.count:
                    outcome.settled_from = len(outcome.waits)
                    self._pay(0)
                    outcome.settled_usage = replace(outcome.usage)
                outcome.rows += each.count
                since = each.dropped_at if self._load.images_per_second else 0.0
                outcome.waits.append((now - since, each.count))
            elif each.receives >= TRIES:
                outcome.dead_letters += each.count
            else:
                self._env.process(self._again(each))
        outcome.seconds = now
        ended = outcome.rows + outcome.dead_letters + outcome.expired
        if ended == outcome.images and not self._done.triggered:
            self._done.succeed()

    def _again(self, messages: _Messages) -> Steps:
        yield self._env.timeout(TRANSIENT_FAULT_SECONDS[messages.receives - 1])
        self._enqueue(messages)

    def _scale(self) -> Steps:
        """Target tracking: after some minutes above the target, as many instances as it wants."""
        minutes_above = 0
        while True:
            yield self._env.timeout(60)
            wanted = ceil(self._calls_this_minute / SCALE_OUT_CALLS_A_MINUTE)
            self._calls_this_minute = 0
            minutes_above = minutes_above + 1 if wanted > self._paid else 0
            more = min(wanted, self._stack.max_instances) - self._paid
            if minutes_above >= self._figures.scaling_minutes and more > 0:
                self._env.process(self._start(more))

    def _start(self, more: int) -> Steps:
        self._pay(more)
        yield self._env.timeout(self._figures.instance_start_seconds)
        self._instances += more

    def _pay(self, more: int) -> None:
        """Adds up the instances' seconds until now; from now on there are more of them."""
        self._outcome.usage.instance_seconds += self._paid * (self._env.now - self._paid_until)
        self._paid, self._paid_until = self._paid + more, self._env.now
