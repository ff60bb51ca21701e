"""A dead endpoint in simulated time: several execution environments, each with its own breaker."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import pytest

from imaging import ImageSpec
from imaging.pixel_encoding import PixelEncoding
from pipeline.answers import Answer, Prediction
from pipeline.circuit_breaker import LONGEST_PAUSE_SECONDS, GuardedEndpoint
from pipeline.errors import TransientError
from pipeline.retries import TRANSIENT_FAULT_SECONDS, retry_seconds
from tests.fakes import SPEC
from tests.template_resources import resources

ANSWER = Answer("pug", 1.0, (Prediction("pug", 1.0),), "dogs@1")
HOUR_SECONDS = 3600.0
BATCH_IMAGES = 25
WINDOW_SECONDS = 1.0  # the event source mapping's


def max_receives() -> int:
    return int(resources()["ImagesQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"])


@dataclass
class Outage:
    """An endpoint that is dead until ``ends_at``; each call to it takes ``call_seconds``."""

    ends_at: float
    call_seconds: float
    now: float = 0.0
    calls: int = 0
    calls_in_vain: int = 0

    def classify(
        self, _body: bytes, _spec: ImageSpec, count: int, _encoding: PixelEncoding
    ) -> list[Answer]:
        self.calls += 1
        if self.now < self.ends_at:
            self.calls_in_vain += 1
            raise TransientError("ServiceUnavailable", "dead")
        return [ANSWER] * count


@dataclass
class Simulation:
    """Messages that were all dropped at the start of the outage."""

    outage: Outage
    messages: int
    environments: int = 5
    given_up: int = 0
    answered: int = 0
    last_answer_at: float = 0.0
    receives: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        guards = [
            GuardedEndpoint(self.outage, lambda: self.outage.now) for _ in range(self.environments)
        ]
        free_at = [0.0] * self.environments
        visible = [(0.0, message) for message in range(self.messages)]
        while visible:
            # Lambda says nothing of which free environment it takes.
            free = [
                each for each, at in enumerate(free_at) if at <= max(min(free_at), visible[0][0])
            ]
            chosen = random.choice(free)  # noqa: S311 - a simulation
            began = max(free_at[chosen], visible[0][0]) + WINDOW_SECONDS
            batch = []
            while visible and visible[0][0] <= began and len(batch) < BATCH_IMAGES:
                batch.append(heapq.heappop(visible)[1])
            self.outage.now = began
            free_at[chosen] = began + self._handle(guards[chosen], batch, visible)

    def _handle(
        self, guard: GuardedEndpoint, batch: list[int], visible: list[tuple[float, int]]
    ) -> float:
        """The seconds that it takes."""
        for message in batch:
            self.receives[message] = self.receives.get(message, 0) + 1
        asked = self.outage.calls
        try:
            guard.classify(b"npy", SPEC, len(batch))
        except TransientError as error:
            took = self.outage.call_seconds if self.outage.calls > asked else 0.05
            for message in batch:
                self._send_back(message, took, error, visible)
            return took
        self.answered += len(batch)
        self.last_answer_at = self.outage.now
        return 0.3

    def _send_back(
        self, message: int, took: float, error: TransientError, visible: list[tuple[float, int]]
    ) -> None:
        count = self.receives[message]
        if count == max_receives_of_the_template:
            self.given_up += 1
            return
        delay = retry_seconds(count, error.retry_after_seconds, is_transient=True)
        heapq.heappush(visible, (self.outage.now + took + delay, message))


max_receives_of_the_template = max_receives()


@pytest.mark.parametrize("messages", [1, 25, 500])
@pytest.mark.parametrize("call_seconds", [0.1, 60.0])
@pytest.mark.parametrize("environments", [2, 5])
def test_no_image_is_given_up_over_an_endpoint_that_is_dead_for_an_hour(
    messages: int, call_seconds: float, environments: int
) -> None:
    for seed in range(5):
        random.seed(seed)
        simulation = Simulation(Outage(HOUR_SECONDS, call_seconds), messages, environments)
        simulation.run()
        assert (simulation.given_up, simulation.answered) == (0, messages)
        # After the outage no image waits longer than the longest pause and its random part.
        assert simulation.last_answer_at < HOUR_SECONDS + 1500


def test_the_pauses_of_all_tries_last_an_hour_and_the_breakers_longest_pause() -> None:
    assert len(TRANSIENT_FAULT_SECONDS) == max_receives() - 1
    shortest = sum(each - each // 4 for each in TRANSIENT_FAULT_SECONDS)
    assert shortest > HOUR_SECONDS + LONGEST_PAUSE_SECONDS


def test_a_dead_endpoint_is_called_a_few_times_and_not_by_every_message() -> None:
    random.seed(0)
    simulation = Simulation(Outage(HOUR_SECONDS, call_seconds=0.1), messages=5000)
    simulation.run()
    assert simulation.given_up == 0
    batches = sum(simulation.receives.values()) / BATCH_IMAGES
    # Of each environment: three calls, four while its pause doubles, then one in each five minutes.
    assert simulation.outage.calls_in_vain <= 5 * (3 + 4 + HOUR_SECONDS / LONGEST_PAUSE_SECONDS)
    assert batches > 1000


@pytest.mark.parametrize("receives", range(1, 12))
def test_a_passing_fault_waits_by_its_count_less_a_quarter_of_chance(receives: int) -> None:
    longest = TRANSIENT_FAULT_SECONDS[min(receives, 9) - 1]
    pauses = [retry_seconds(receives, is_transient=True) for _ in range(300)]
    assert 0.75 * longest <= min(pauses) < max(pauses) <= longest
