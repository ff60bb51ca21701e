"""Contract: more than 256 KiB end an execution, and so does whatever `States.ALL` cannot catch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.emulator.emulator_harness import Emulator, outputs, python_function

_LIMIT = 256 * 1024
_FULL = _LIMIT - 2  # two quotation marks
_CAUGHT = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
_RETRIED = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 0, "MaxAttempts": 3}]


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    code = "def handler(event, context): return event['letter'] * event['times']"
    template = {
        "Resources": {"Function": python_function(code)},
        "Outputs": outputs(Function={"Fn::GetAtt": ["Function", "Arn"]}),
    }
    return emulator.deploy("payloads", template)["Function"]


def _machine(emulator: Emulator, name: str, first: dict[str, Any]) -> str:
    states = {"First": {"Catch": _CAUGHT, **first}, "Caught": {"Type": "Succeed"}}
    return emulator.state_machine(name, {"StartAt": "First", "States": states})


@pytest.mark.parametrize(("letter", "times"), [("x", _FULL), ("é", _FULL // 2)])
def test_result_as_large_as_the_limit_is_handed_on(
    emulator: Emulator, function: str, letter: str, times: int
) -> None:
    task = {"Type": "Task", "Resource": function, "End": True}
    machine = _machine(emulator, f"full-{times}", task)

    ended = emulator.ended(emulator.start(machine, {"letter": letter, "times": times}))

    assert ended["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("letter", "times"), [("x", _FULL + 1), ("é", _FULL // 2 + 1)])
def test_larger_result_ends_the_execution_caught_or_not(
    emulator: Emulator, function: str, letter: str, times: int
) -> None:
    task = {"Type": "Task", "Resource": function, "Retry": _RETRIED, "End": True}
    machine = _machine(emulator, f"over-{times}", task)

    ended = emulator.ended(emulator.start(machine, {"letter": letter, "times": times}))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_results_of_a_map_count_together_even_where_they_are_thrown_away(
    emulator: Emulator, function: str
) -> None:
    task = {"Type": "Task", "Resource": function, "End": True}
    each = {
        "Type": "Map",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Item",
            "States": {"Item": task},
        },
        "ResultPath": None,
        "End": True,
    }
    machine = _machine(emulator, "together", each)

    ended = emulator.ended(emulator.start(machine, [{"letter": "x", "times": _LIMIT // 2}] * 2))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_states_all_does_not_catch_what_is_wrong_with_the_definition(emulator: Emulator) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::nobody:knows", "End": True}
    machine = _machine(emulator, "unknown", task)

    ended = emulator.ended(emulator.start(machine))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
