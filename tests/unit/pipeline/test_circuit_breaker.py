"""A dead endpoint is not called, and is used again when it is back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from imaging import ImageSpec
from imaging.pixel_encoding import PixelEncoding
from pipeline.answers import Answer, InvalidAnswerError, Prediction
from pipeline.circuit_breaker import (
    FAILURES_TO_OPEN,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    GuardedEndpoint,
)
from pipeline.errors import SpecMismatchError, TransientError
from tests.fakes import SPEC

ANSWER = Answer("pug", 1.0, (Prediction("pug", 1.0),), "dogs@1")


@dataclass
class Endpoint:
    error: Exception | None = None
    calls: int = 0

    def classify(
        self, _body: bytes, _spec: ImageSpec, count: int, _encoding: PixelEncoding
    ) -> list[Answer]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return [ANSWER] * count


@dataclass
class World:
    endpoint: Endpoint = field(default_factory=Endpoint)
    now: float = 1000.0
    guarded: GuardedEndpoint = field(init=False)

    def __post_init__(self) -> None:
        self.guarded = GuardedEndpoint(self.endpoint, lambda: self.now)

    def call(self) -> list[Answer]:
        return self.guarded.classify(b"npy", SPEC, 1)

    def fail(self, times: int = 1) -> TransientError:
        for _ in range(times):
            self.endpoint.error = TransientError("ServiceUnavailable", "dead")
            with pytest.raises(TransientError) as raised:
                self.call()
        return raised.value


def test_answers_pass() -> None:
    assert World().call() == [ANSWER]


def test_after_three_failures_in_a_row_nobody_calls_until_the_pause_is_over() -> None:
    world = World()
    last = world.fail(FAILURES_TO_OPEN)
    assert last.retry_after_seconds == FIRST_PAUSE_SECONDS
    world.now += FIRST_PAUSE_SECONDS - 1

    refused = world.fail()

    assert (refused.code, refused.retry_after_seconds) == ("CircuitOpen", 1.0)
    assert world.endpoint.calls == FAILURES_TO_OPEN


def test_failures_that_are_not_in_a_row_open_nothing() -> None:
    world = World()
    for _ in range(10):
        assert world.fail(FAILURES_TO_OPEN - 1).retry_after_seconds == 0.0
        world.endpoint.error = None
        world.call()


def test_each_failed_probe_doubles_the_pause_up_to_a_bound() -> None:
    world = World()
    world.fail(FAILURES_TO_OPEN)
    pauses = []
    for _ in range(8):
        world.now = world.guarded._open_until
        pauses.append(world.fail().retry_after_seconds)
    assert pauses[:3] == [60.0, 120.0, 240.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_an_answer_closes_it_and_forgets_the_pauses() -> None:
    world = World()
    world.fail(FAILURES_TO_OPEN + 1)
    world.now = world.guarded._open_until
    world.endpoint.error = None
    assert world.call() == [ANSWER]
    assert world.fail(FAILURES_TO_OPEN).retry_after_seconds == FIRST_PAUSE_SECONDS


@pytest.mark.parametrize("error", [SpecMismatchError(SPEC), InvalidAnswerError("NaN")])
def test_a_refusal_shows_that_the_endpoint_lives(error: Exception) -> None:
    world = World()
    world.fail(FAILURES_TO_OPEN - 1)
    world.endpoint.error = error
    with pytest.raises(type(error)):
        world.call()
    assert world.fail().retry_after_seconds == 0.0
