"""A promotion that fails, is interrupted, or is reverted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from imagedrop.models import promotion
from pipeline.answers import InvalidAnswerError
from pipeline.errors import TransientError
from registry.model_registry import Approval
from registry.promotions import Promotion, Promotions
from tests.model_archives import IMAGE_SPEC
from tests.unit.command_line.promotion.conftest import (
    DEFAULT,
    NEW,
    OLD,
    FakeAnswers,
    World,
)


def test_refusal_that_is_not_a_taken_name_reaches_the_person(world: World) -> None:
    world.sagemaker.refusal = "Could not find model"
    with pytest.raises(ClientError, match="Could not find model"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.updates == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda a: a.faults.append(InvalidAnswerError("NaN")), id="no answer"),
        pytest.param(
            lambda a: a.faults.append(ClientError({"Error": {"Code": "ModelError"}}, "Invoke")),
            id="refuses",
        ),
        pytest.param(lambda a: setattr(a, "label", "unicorn"), id="label of no card"),
        pytest.param(lambda a: setattr(a, "model", "old@7"), id="another model"),
    ],
)
def test_model_that_fails_the_probe_is_taken_back_and_rejected(
    world: World, spoil: Callable[[FakeAnswers], None]
) -> None:
    spoil(world.answers)
    with pytest.raises(UserError, match="new@7 failed behind the endpoint"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == OLD
    assert world.registry.decided == [Approval.REJECTED]
    assert world.models.noted == Promotions()


def test_alarm_after_the_switch_takes_the_endpoint_back(world: World) -> None:
    world.bake_seconds = 60
    world.alarms.on = [[], [], ["DeadLetters"]]
    with pytest.raises(UserError, match="alarms went off: DeadLetters"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == OLD
    assert world.models.noted == Promotions()
    assert world.registry.decided[-1] is Approval.REJECTED


def test_alarm_before_the_switch_changes_nothing(world: World) -> None:
    world.alarms.on = [["EndpointErrors"]]
    with pytest.raises(UserError, match="EndpointErrors"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.updates == []
    assert world.registry.decided == []


def test_a_cold_container_is_asked_again(world: World) -> None:
    world.answers.faults = [TransientError("ModelNotReadyException", "cold")] * 3
    assert world.promoter().promote("new", "7") == "new@7"


def test_model_that_never_comes_up_leaves_the_old_one_with_sagemakers_reason(
    world: World,
) -> None:
    world.sagemaker.comes_up = False
    with pytest.raises(UserError, match="no health"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == OLD
    assert world.models.noted == Promotions()


def test_promoting_twice_switches_once(world: World) -> None:
    world.promoter().promote("new", "7")
    world.promoter().promote("new", "7")
    assert len(world.sagemaker.updates) == 1
    assert len(world.models.noted.all) == 1


def test_promoting_again_after_going_back_finds_what_it_made(world: World) -> None:
    world.promoter().promote("new", "7")
    world.promoter().back()
    world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == NEW


def test_the_way_back_ends_at_the_default_model(world: World) -> None:
    spec = dict(IMAGE_SPEC)
    first, second = (Promotion(f"{u}@7", u, spec, "2026-01-01T00:00:00.000Z") for u in (OLD, NEW))
    world.models.noted = Promotions((first, second))

    assert world.promoter().back() == "old@7"
    assert world.models.noted == Promotions((first,))
    assert world.promoter().back() == "default@7"
    assert world.sagemaker.served_url == DEFAULT
    with pytest.raises(UserError, match="No model has been promoted"):
        world.promoter().back()


def test_interrupted_watch_leaves_the_promoted_model_noted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bake_seconds = 60

    def interrupt(seconds: float) -> None:
        if seconds:  # the watch; the other pauses are none here
            raise KeyboardInterrupt

    monkeypatch.setattr(promotion.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == NEW
    assert world.models.noted.current is not None
    assert world.registry.decided == [Approval.APPROVED]
