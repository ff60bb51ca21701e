"""The workflow's own promises: every task is retried, every path ends in the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bulk import folder_steps
from bulk.run import OVER_A_LIMIT
from handlers import bulk_chunks
from tools.paths import PROJECT

Json = dict[str, Any]

DEFINITION: Json = json.loads((PROJECT / "bulk.asl.json").read_text())


def states(machine: Json = DEFINITION) -> Iterator[tuple[str, Json]]:
    """Every state, the children's of a Map included."""
    for name, state in machine["States"].items():
        yield name, state
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor")):
            if inner is not None:
                yield from states(inner)


def machines(machine: Json = DEFINITION) -> Iterator[Json]:
    """The machine and the branches of its Parallel states."""
    yield machine
    for state in machine["States"].values():
        for branch in state.get("Branches", ()):
            yield from machines(branch)


def nexts(state: Json) -> Iterator[str]:
    for key in ("Next", "Default"):
        if key in state:
            yield state[key]
    for each in (*state.get("Choices", ()), *state.get("Catch", ())):
        yield each["Next"]


TASKS = [name for name, state in states() if state["Type"] == "Task"]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_tried_again_or_caught_whatever_its_error(name: str) -> None:
    state = dict(states())[name]
    handled = [
        error
        for each in (*state.get("Retry", ()), *state.get("Catch", ()))
        for error in each["ErrorEquals"]
        if each.get("MaxAttempts", 1) > 0
    ]
    assert "States.ALL" in handled


@pytest.mark.parametrize("name", [name for name, state in states() if "${" in str(state)])
def test_a_function_has_its_own_time_to_end_before_the_state_gives_up(name: str) -> None:
    state = dict(states())[name]
    if "FunctionArn" in str(state.get("Resource")):
        assert state["TimeoutSeconds"] > 900  # the functions' own limit


def test_a_function_is_told_which_of_its_steps_to_run() -> None:
    asked: dict[str, set[str]] = {}
    for _, state in states():
        if state["Type"] == "Map":
            (task,) = state["ItemProcessor"]["States"].values()
            asked.setdefault(task["Resource"], set()).add(state["ItemSelector"]["step"])
        elif "FunctionArn" in str(state.get("Resource")) and "Parameters" in state:
            asked.setdefault(state["Resource"], set()).add(state["Parameters"]["step"])
    assert asked == {
        "${BulkStepsFunctionArn}": set(folder_steps.STEPS),
        "${BulkChunksFunctionArn}": set(bulk_chunks.STEPS),
    }


def test_a_chunk_that_fails_does_not_end_the_run() -> None:
    maps = [state for _, state in states() if state["Type"] == "Map"]
    assert len(maps) == 2
    for state in maps:
        assert state["ToleratedFailurePercentage"] == 100
        assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
        assert state["ResultPath"] is None  # what the children answer is not kept in the state


@pytest.mark.parametrize("machine", list(machines()), ids=lambda machine: machine["StartAt"])
def test_every_road_leads_on_and_every_state_is_on_one(machine: Json) -> None:
    top = machine["States"]
    reached: set[str] = set()
    ahead = [machine["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += nexts(top[name])
    assert reached == set(top)
    for name, state in top.items():
        is_end = state["Type"] in ("Succeed", "Fail") or state.get("End", False)
        assert is_end != bool(list(nexts(state))), name


def test_a_run_ends_done_or_incomplete() -> None:
    top = DEFINITION["States"]
    ends = {name for name, state in top.items() if state["Type"] in ("Succeed", "Fail")}
    assert ends == {"Done", "Incomplete"}


def test_names_of_states_are_unique() -> None:
    # AWS refuses a definition that names two states alike, in whatever branches they are.
    names = [name for name, _ in states()]
    assert sorted(names) == sorted(set(names))


def test_a_wave_is_prepared_while_another_is_transformed_and_a_third_recorded() -> None:
    branches = DEFINITION["States"]["AtOnce"]["Branches"]
    does = [{name for name, _ in states(branch)} for branch in branches]
    for work, names in zip(("Prepare", "Transform", "Record"), does, strict=True):
        assert work in names
    # The next turn gets the job of the second branch.
    assert DEFINITION["States"]["AtOnce"]["ResultSelector"] == {
        "job.$": "$[1].job",
        "problem.$": "$[1].problem",
    }


def test_the_job_is_looked_at_before_anything_is_believed() -> None:
    top = dict(states())
    assert top["Transform"]["Resource"].endswith("sagemaker:createTransformJob.sync")
    assert top["Transform"]["Catch"][-1] == {
        "ErrorEquals": ["States.ALL"],
        "ResultPath": "$.problem",
        "Next": "Look",
    }
    assert "Retry" not in top["Transform"]  # a job's name is made once: Look decides


def test_a_quota_is_not_asked_again() -> None:
    top = dict(states())
    first = top["Transform"]["Catch"][0]
    # The name in a recorded execution of a real account, and in the emulator.
    assert first["ErrorEquals"] == [OVER_A_LIMIT]
    assert first["Next"] == "NotCreated"
    assert top["NotCreated"]["Next"] == "JobEnded"


def test_the_problem_of_a_job_that_was_not_made_reaches_the_report() -> None:
    top = dict(states())
    assert all(each["ResultPath"] == "$.problem" for each in top["Transform"]["Catch"])
    # To look for the job fails too, and says less.
    assert [each["ResultPath"] for each in top["Look"]["Catch"]] == ["$.not_found"]
    assert top["OftenEnough"]["Default"] == "NotCreated"
    assert top["NotCreated"]["Parameters"]["problem.$"] == "$.problem"
    assert top["NotCreated"]["ResultPath"] == "$.job"
    assert top["Turn"]["Parameters"]["ended.$"] == top["AtOnce"]["ResultPath"]
    assert top["Record"]["ItemSelector"]["problem.$"] == "$.record.problem"


def test_no_result_is_null() -> None:
    # "Result, if present": whether AWS takes null as present is not documented.
    assert [name for name, state in states() if state.get("Result", {}) is None] == []
