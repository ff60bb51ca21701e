"""Callers share runs of the model without affecting each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from model.serving.batching import Batcher
from model.serving.onnx_model import Images, Scores

POISON = 255
DEADLINE_SECONDS = 10


class GatedModel:
    """Echoes each image's first level; can be held so that callers pile up behind it."""

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.first_levels: list[list[int]] = []
        self.begun = 0
        self.gate = threading.Event()
        self.busy = threading.Event()

    def run(self, images: Images) -> Scores:
        self.begun += 1
        self.busy.set()
        assert self.gate.wait(DEADLINE_SECONDS)
        self.runs.append(len(images))
        levels = images[:, 0, 0, 0]
        self.first_levels.append(levels.tolist())
        if (levels == POISON).any():
            raise ValueError("poison")
        return Scores(levels[:, None].astype(np.float32), levels.astype(np.float32))


def images(*levels: int) -> Images:
    return np.stack([np.full((2, 2, 3), level, dtype=np.uint8) for level in levels])


def levels_of(scores: Scores) -> list[int]:
    assert scores.known is not None
    assert scores.probabilities[:, 0].tolist() == scores.known.tolist()
    return [int(level) for level in scores.known]


def while_the_model_is_busy(
    model: GatedModel,
    calls: Callable[[Batcher], list[Awaitable[Scores]]],
    *,
    max_images: int = 4,
    meanwhile: Callable[[list[asyncio.Future[Scores]]], None] = lambda _: None,
) -> list[Scores | BaseException]:
    """One caller keeps the model busy; all of `calls` arrive; then the model continues."""

    async def scenario() -> list[Scores | BaseException]:
        batcher = Batcher(model.run, max_images, runners=1)
        try:
            first = asyncio.ensure_future(batcher.scores(images(1)))
            while not model.busy.is_set():
                await asyncio.sleep(0)
            waiting = [asyncio.ensure_future(call) for call in calls(batcher)]
            await asyncio.sleep(0)
            meanwhile(waiting)
            await asyncio.sleep(0)
            model.gate.set()
            await first
            return await asyncio.wait_for(
                asyncio.gather(*waiting, return_exceptions=True), DEADLINE_SECONDS
            )
        finally:
            model.gate.set()
            batcher.close()

    return asyncio.run(scenario())


def test_callers_that_come_while_the_model_runs_share_the_next_run() -> None:
    model = GatedModel()
    answers = while_the_model_is_busy(
        model, lambda b: [b.scores(images(10)), b.scores(images(20, 21)), b.scores(images(30))]
    )
    assert [levels_of(answer) for answer in answers] == [[10], [20, 21], [30]]
    assert model.runs == [1, 4]


def test_no_run_is_larger_than_the_maximum() -> None:
    model = GatedModel()
    while_the_model_is_busy(model, lambda b: [b.scores(images(level)) for level in range(2, 12)])
    assert model.runs == [1, 4, 4, 2]


def test_a_large_batch_is_cut_into_runs_and_put_together_again() -> None:
    model = GatedModel()
    (answer,) = while_the_model_is_busy(model, lambda b: [b.scores(images(*range(2, 13)))])
    assert levels_of(answer) == list(range(2, 13))
    assert model.runs == [1, 4, 4, 3]


def test_a_small_call_waits_for_one_run_of_a_large_batch_not_for_all() -> None:
    model = GatedModel()
    answers = while_the_model_is_busy(
        model, lambda b: [b.scores(images(*range(100, 112))), b.scores(images(50))]
    )
    assert 50 in model.first_levels[2]
    assert [len(levels_of(answer)) for answer in answers] == [12, 1]


def test_images_the_model_cannot_take_hurt_their_own_caller_only() -> None:
    model = GatedModel()
    answers = while_the_model_is_busy(
        model, lambda b: [b.scores(images(10)), b.scores(images(POISON)), b.scores(images(30))]
    )
    assert levels_of(answers[0]) == [10]
    assert isinstance(answers[1], ValueError)
    assert levels_of(answers[2]) == [30]


def test_the_rest_of_a_failed_batch_is_not_run() -> None:
    model = GatedModel()
    (answer,) = while_the_model_is_busy(model, lambda b: [b.scores(images(POISON, *range(2, 13)))])
    assert isinstance(answer, ValueError)
    assert model.runs == [1, 4]


def test_a_caller_that_left_is_not_run() -> None:
    model = GatedModel()
    answers = while_the_model_is_busy(
        model,
        lambda b: [b.scores(images(10)), b.scores(images(20))],
        meanwhile=lambda waiting: waiting[0].cancel() and None,
    )
    assert isinstance(answers[0], asyncio.CancelledError)
    assert levels_of(answers[1]) == [20]
    assert model.first_levels == [[1], [20]]


def test_a_batch_is_shared_out_among_idle_runners_and_comes_back_in_order() -> None:
    model = GatedModel()

    async def scenario() -> Scores:
        batcher = Batcher(model.run, 8, runners=3)
        try:
            while batcher._idle_runners < 3:  # only seen from inside
                await asyncio.sleep(0)
            call = asyncio.ensure_future(batcher.scores(images(*range(2, 13))))
            while model.begun < 3:
                await asyncio.sleep(0)
            model.gate.set()
            return await asyncio.wait_for(call, DEADLINE_SECONDS)
        finally:
            batcher.close()

    assert levels_of(asyncio.run(scenario())) == list(range(2, 13))
    assert sorted(model.runs) == [3, 4, 4]


def test_closing_finishes_what_waits_and_takes_nothing_new() -> None:
    async def scenario() -> None:
        model = GatedModel()
        batcher = Batcher(model.run, 4, runners=1)
        first = asyncio.ensure_future(batcher.scores(images(7)))
        second = asyncio.ensure_future(batcher.scores(images(8)))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(asyncio.to_thread(batcher.close))
        model.gate.set()
        assert [levels_of(await first), levels_of(await second)] == [[7], [8]]
        await closing
        with pytest.raises(RuntimeError, match="shut down"):
            await batcher.scores(images(9))

    asyncio.run(scenario())
