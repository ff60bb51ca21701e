"""Faults at the function's calls: affected images are retried, and end in the correct row."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from handlers import wiring
from pipeline.records import Status
from pipeline.retries import FailedMessage
from tests.fakes import NPY_HEADER_BYTES, SPEC
from tests.unit.exactness.world import SHADES, World, world


@pytest.fixture
def made() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, world(patch) as opened:
        yield opened


def service_error(code: str, status: int, **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(response, "Operation")


def model_error(status: int) -> ClientError:
    return service_error("ModelError", 424, OriginalStatusCode=status, OriginalMessage="")


def once_at(name: str, error: Exception, *, skip: int = 0) -> Callable[[int, str], None]:
    """Makes a fault that raises at one call of that name, after as many others."""
    left = [skip + 1]
    lock = Lock()

    def when(_number: int, called: str) -> None:
        if called == name:
            with lock:
                left[0] -= 1
                strikes = left[0] == 0
            if strikes:
                raise error

    return when


def undisturbed(_number: int, _name: str) -> None:
    return None


def drop(made: World, count: int) -> list[str]:
    shades = list(SHADES)
    return [made.put(f"incoming/{n}.jpg", SHADES[shades[n % 3]]) for n in range(count)]


def labels(made: World) -> dict[str, str | None]:
    return {key: row.label for key, row in made.rows().items()}


def expected(count: int) -> dict[str, str | None]:
    shades = list(SHADES)
    return {f"incoming/{n}.jpg": str(shades[n % 3]) for n in range(count)}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("get_object", service_error("SlowDown", 503)),
        ("get_object", service_error("InternalError", 500)),
        ("get_object", ReadTimeoutError(endpoint_url="s3")),
        ("update_item", service_error("ProvisionedThroughputExceededException", 400)),
        ("update_item", service_error("ThrottlingException", 400)),
        ("update_item", ReadTimeoutError(endpoint_url="dynamodb")),
    ],
)
def test_one_image_meets_a_fault_and_comes_again_alone(
    made: World, call: str, error: Exception
) -> None:
    bodies = drop(made, 5)
    made.calls.before = once_at(call, error, skip=2)
    again = made.deliver(*bodies)
    assert len(again) == 1
    assert len(made.rows()) == 4
    made.calls.before = undisturbed
    assert made.deliver(*again) == []
    assert labels(made) == expected(5)


@pytest.mark.parametrize(
    "error",
    [
        service_error("ThrottlingException", 400),
        service_error("ModelNotReadyException", 429),
        service_error("ServiceUnavailable", 503),
        service_error("ValidationError", 400),
        model_error(0),
        model_error(400),
        model_error(500),
        ReadTimeoutError(endpoint_url="endpoint"),
    ],
)
def test_an_endpoint_that_fails_writes_nothing_and_holds_no_rejection_or_deletion_up(
    made: World, error: Exception
) -> None:
    bodies = drop(made, 3)
    others = [made.put("incoming/no image.jpg", b"<html>"), made.put("incoming/x.jpg", SHADES[0])]
    others.append(made.delete("incoming/x.jpg"))
    made.calls.before = once_at("invoke_endpoint", error)
    assert made.deliver(*bodies, *others) == bodies
    assert {key: row.status for key, row in made.rows().items()} == {
        "incoming/no image.jpg": Status.REJECTED,
        "incoming/x.jpg": Status.DELETED,
    }
    made.calls.before = undisturbed
    assert made.deliver(*bodies) == []
    assert expected(3).items() <= labels(made).items()


def answers_with(made: World, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """The endpoint's answers, changed before they arrive."""
    invoke = made.runtime.invoke_endpoint

    def changed(**request: Any) -> dict[str, Any]:
        entries = change(json.loads(invoke(**request)["Body"].read()))
        body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
        return {"Body": io.BytesIO(body)}

    made.runtime.invoke_endpoint = changed  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"<html>busy</html>",
        lambda _: b"",
        lambda entries: entries[:-1],
        lambda entries: [*entries, entries[0]],
        lambda entries: {"predictions": entries},
    ],
)
def test_an_answer_that_cannot_be_assigned_is_used_for_no_image(
    made: World, change: Callable[[list[dict[str, Any]]], Any]
) -> None:
    bodies = drop(made, 4)
    answers_with(made, change)
    assert made.deliver(*bodies) == bodies
    assert made.rows() == {}


@pytest.mark.parametrize(
    "broken",
    [
        {"confidence": float("nan")},
        {"confidence": 2},
        {"label": None},
        {"model": ""},
        {"predictions": []},
    ],
)
def test_a_broken_answer_to_one_image_is_not_its_neighbours(
    made: World, broken: dict[str, Any]
) -> None:
    bodies = drop(made, 4)
    answers_with(made, lambda entries: [entries[0], entries[1] | broken, *entries[2:]])
    assert made.deliver(*bodies) == [bodies[1]]
    assert set(made.rows()) == {"incoming/0.jpg", "incoming/2.jpg", "incoming/3.jpg"}


def test_an_unreadable_message_holds_up_no_other(made: World) -> None:
    bodies = drop(made, 3)
    poison = ["", "no json", "[" * 100_000, '{"Records": [{}]}', json.dumps({"Records": 1})]
    assert made.deliver(*poison, *bodies) == poison
    assert labels(made) == expected(3)


def test_rows_name_the_model_that_answered_when_it_is_switched_within_an_invocation(
    made: World,
) -> None:
    """Two calls for one batch, and another model in between them."""
    use_case = wiring.classify_images()
    use_case.max_payload_bytes = NPY_HEADER_BYTES + 2 * SPEC.image_bytes
    bodies = drop(made, 4)

    def switch(number: int, name: str) -> None:
        if name == "invoke_endpoint" and made.calls.names.count(name) == 2:
            made.runtime.version = "2"

    made.calls.before = switch
    assert made.deliver(*bodies) == []
    assert {key: row.model for key, row in made.rows().items()} == {
        "incoming/0.jpg": "dogs@1",
        "incoming/1.jpg": "dogs@1",
        "incoming/2.jpg": "dogs@2",
        "incoming/3.jpg": "dogs@2",
    }


def test_a_queue_that_fails_too_changes_nothing(made: World) -> None:
    (body,) = drop(made, 1)
    faults = {
        "get_object": service_error("SlowDown", 503),
        "change_message_visibility_batch": service_error("RequestThrottled", 400),
    }

    def when(_number: int, name: str) -> None:
        if name in faults:
            raise faults[name]

    made.calls.before = when
    assert made.deliver(body) == [body]
    made.calls.before = undisturbed
    assert made.deliver(body) == []
    assert labels(made) == expected(1)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 6))]
)
def test_a_quarter_of_all_calls_fails_and_every_image_ends_once(made: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    error = service_error("ServiceUnavailable", 503)
    lock = Lock()

    def sometimes(_number: int, _name: str) -> None:
        with lock:
            strikes = chance.random() < 0.25
        if strikes:
            raise error

    waiting = drop(made, 8)
    waiting.append(made.delete("incoming/7.jpg"))
    made.calls.before = made.calls.after = sometimes  # a lost answer too: done, and not known
    deliveries = 0
    while waiting:
        chance.shuffle(waiting)
        waiting = made.deliver(*waiting)
        deliveries += 1
        assert deliveries < 60
    truth = {key: label for key, label in expected(8).items() if key != "incoming/7.jpg"}
    assert labels(made) == truth | {"incoming/7.jpg": None}
    assert made.listed() == set(truth)
    assert made.letters() == []


def test_a_passing_fault_is_tried_for_an_hour_and_a_bug_for_minutes(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[FailedMessage] = []
    monkeypatch.setattr(wiring.images_queue(), "retry_soon", seen.extend)
    first, second = drop(made, 2)
    made.calls.before = once_at("get_object", service_error("SlowDown", 503))
    made.deliver(first)
    made.calls.before = once_at("get_object", service_error("AccessDenied", 403))
    made.deliver(second)  # an event of another bucket ends so
    assert [(each.reason, each.is_transient) for each in seen] == [
        ("SlowDown", True),
        ("AccessDenied", False),
    ]
