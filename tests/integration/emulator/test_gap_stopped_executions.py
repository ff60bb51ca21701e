"""Contract: a stopped execution begins no further state, not even within a Map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulator.emulator_harness import (
    Emulator,
    eventually,
    outputs,
    python_function,
)

# Says that it has begun, and returns (or fails) once it may.
_NOTED = """
import pathlib, time, uuid

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / f"begun-{event['name']}-{uuid.uuid4().hex[:4]}").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)
    if event.get("fail"):
        raise ValueError("as asked")
    return event
"""


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    template = {
        "Resources": {"Function": python_function(_NOTED)},
        "Outputs": outputs(Function={"Fn::GetAtt": ["Function", "Arn"]}),
    }
    return emulator.deploy("stopped", template)["Function"]


def _task(function: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": function, **fields}


def _begun(folder: Path) -> list[str]:
    return sorted(file.name.split("-")[1] for file in folder.glob("begun-*"))


def _canary_has_run(emulator: Emulator, function: str, folder: Path) -> None:
    """Runs another execution, so that anything due after `go` has had time to begin."""
    machine = emulator.state_machine(
        f"canary-{folder.name}",
        {
            "StartAt": "A",
            "States": {"A": _task(function, Next="B"), "B": _task(function, End=True)},
        },
    )
    given = {"folder": str(folder), "name": "canary"}
    assert emulator.ended(emulator.start(machine, given))["status"] == "SUCCEEDED"


def test_no_retry_and_no_next_state_begins_after_a_stop(
    emulator: Emulator, function: str, tmp_path: Path
) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 0, "MaxAttempts": 5}]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Next", "ResultPath": None}]
    states = {
        "First": _task(function, Retry=retry, Catch=catch, Next="Next"),
        "Next": _task(function, End=True),
    }
    machine = emulator.state_machine("stopped-task", {"StartAt": "First", "States": states})
    given = {"folder": str(tmp_path), "name": "task", "fail": True}
    execution = emulator.start(machine, given)
    eventually(lambda: _begun(tmp_path) == ["task"])

    emulator.client("stepfunctions").stop_execution(executionArn=execution, cause="enough")
    (tmp_path / "go").touch()

    _canary_has_run(emulator, function, tmp_path)
    assert _begun(tmp_path) == ["canary", "canary", "task"]
    ended = emulator.ended(execution)
    assert (ended["status"], ended["cause"]) == ("ABORTED", "enough")
    history = emulator.client("stepfunctions").get_execution_history(executionArn=execution)
    assert history["events"][-1]["type"] == "ExecutionAborted"


def test_no_other_item_of_a_distributed_map_begins_after_a_stop(
    emulator: Emulator, function: str, tmp_path: Path
) -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Item",
        "States": {"Item": _task(function, End=True)},
    }
    each = {"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": processor, "Next": "After"}
    states = {"Each": each, "After": _task(function, End=True)}
    machine = emulator.state_machine("stopped-map", {"StartAt": "Each", "States": states})
    items = [{"folder": str(tmp_path), "name": str(number)} for number in range(6)]
    execution = emulator.start(machine, items)
    eventually(lambda: len(_begun(tmp_path)) == 2)
    stepfunctions = emulator.client("stepfunctions")

    stepfunctions.stop_execution(executionArn=execution)
    (tmp_path / "go").touch()

    _canary_has_run(emulator, function, tmp_path)
    assert _begun(tmp_path) == ["0", "1", "canary", "canary"]
    (summary,) = stepfunctions.list_map_runs(executionArn=execution)["mapRuns"]

    def counts() -> dict[str, Any] | None:
        map_run = stepfunctions.describe_map_run(mapRunArn=summary["mapRunArn"])
        found: dict[str, Any] = map_run["itemCounts"]
        return found if map_run["status"] == "ABORTED" and found["aborted"] else None

    assert eventually(counts)["aborted"] == 6
    children = stepfunctions.list_executions(mapRunArn=summary["mapRunArn"])["executions"]
    assert {child["status"] for child in children} == {"ABORTED"}
    assert json.loads(emulator.ended(execution)["input"]) == items
