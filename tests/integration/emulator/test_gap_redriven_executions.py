"""Contract: an unsuccessful execution goes on from the state that failed, with its input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.emulator_harness import (
    Emulator,
    eventually,
    outputs,
    python_function,
)

# Notes each call; the second state waits for a file, and fails while there is another one.
_CAREFUL = """
import pathlib, time

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    with (folder / "calls").open("a") as calls:
        calls.write(event["state"] + "\\n")
    while event["state"] == "second" and (folder / "wait").exists():
        time.sleep(0.02)
    if event["state"] == "second" and (folder / "fail").exists():
        raise ValueError("not yet")
    return {"seen": event["number"] + 1}
"""


@pytest.fixture(scope="module")
def machine(emulator: Emulator) -> str:
    template = {
        "Resources": {"Function": python_function(_CAREFUL)},
        "Outputs": outputs(Function={"Fn::GetAtt": ["Function", "Arn"]}),
    }
    function = emulator.deploy("redriven", template)["Function"]
    return emulator.state_machine("redriven", _two_states(function))


def _two_states(function: str) -> dict[str, Any]:
    def parameters(state: str, number: str) -> dict[str, Any]:
        return {"state": state, "folder.$": "$$.Execution.Input.folder", "number.$": number}

    task = {"Type": "Task", "Resource": function}
    first = {**task, "Parameters": parameters("first", "$.number"), "Next": "Second"}
    second = {**task, "Parameters": parameters("second", "$.seen"), "End": True}
    return {"StartAt": "First", "States": {"First": first, "Second": second}}


def _calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split()


def test_failed_execution_goes_on_with_the_failed_state_and_what_it_was_given(
    emulator: Emulator, machine: str, tmp_path: Path
) -> None:
    stepfunctions = emulator.client("stepfunctions")
    (tmp_path / "fail").touch()
    execution = emulator.start(machine, {"folder": str(tmp_path), "number": 40})
    failed = emulator.ended(execution)
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE")
    (tmp_path / "fail").unlink()

    redriven = stepfunctions.redrive_execution(executionArn=execution)

    ended = emulator.ended(execution)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"seen": 42})
    assert (ended["redriveCount"], ended["redriveDate"]) == (1, redriven["redriveDate"])
    assert ended["redriveStatus"] == "NOT_REDRIVABLE"
    assert _calls(tmp_path) == ["first", "second", "second"]
    history = stepfunctions.get_execution_history(executionArn=execution)["events"]
    assert "ExecutionRedriven" in [event["type"] for event in history]


def test_stopped_execution_goes_on_and_its_old_thread_does_not(
    emulator: Emulator, machine: str, tmp_path: Path
) -> None:
    stepfunctions = emulator.client("stepfunctions")
    (tmp_path / "wait").touch()
    execution = emulator.start(machine, {"folder": str(tmp_path), "number": 0})
    eventually(lambda: (tmp_path / "calls").exists() and _calls(tmp_path)[-1] == "second")
    stepfunctions.stop_execution(executionArn=execution)

    stepfunctions.redrive_execution(executionArn=execution)
    eventually(lambda: _calls(tmp_path) == ["first", "second", "second"])
    (tmp_path / "wait").unlink()

    assert emulator.ended(execution)["status"] == "SUCCEEDED"
    history = stepfunctions.get_execution_history(executionArn=execution)["events"]
    assert [event["type"] for event in history].count("ExecutionSucceeded") == 1


def test_execution_that_succeeded_is_not_redrivable(
    emulator: Emulator, machine: str, tmp_path: Path
) -> None:
    execution = emulator.start(machine, {"folder": str(tmp_path), "number": 0})
    assert emulator.ended(execution)["status"] == "SUCCEEDED"

    with pytest.raises(ClientError) as caught:
        emulator.client("stepfunctions").redrive_execution(executionArn=execution)

    assert caught.value.response["Error"]["Code"] == "ExecutionNotRedrivable"
