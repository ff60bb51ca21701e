"""Gap: no RedriveExecution.

An execution that failed, was aborted or timed out goes on from the state it did not get out of,
with that state's input, the definition it was started with, and its history.
https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from localcloud.emulator import patching, stopped_executions

_HANDLE_LOOKS = "efa6e8c4532a"
_START_LOOKS = "9923282fc76c"
_DESCRIBE_LOOKS = "c3ad294ad8b5"
_REDRIVABLE = frozenset({"FAILED", "ABORTED", "TIMED_OUT"})
_WITH_EXECUTION = frozenset({"Task", "Parallel", "Map"})  # their handlers write events

Execution = dict[str, Any]


def install() -> None:
    """Add the operation, and what DescribeExecution says about it."""
    sfn = patching.module("services.stepfunctions")

    def handle(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_request(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Any
        ) -> Any:
            if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
                return sfn._finalize_response(_redrive(sfn, json.loads(body)))
            return await original(method, path, headers, body, query)

        return handle_request

    patching.replace(sfn, "handle_request", _HANDLE_LOOKS, handle)
    patching.replace(sfn, "_start_execution", _START_LOOKS, partial(_keeping_definition, sfn))
    patching.replace(sfn, "_describe_execution", _DESCRIBE_LOOKS, partial(_describing, sfn))


def _keeping_definition(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def start(data: dict[str, Any]) -> Any:
        answer = original(data)
        if answer[0] == 200:
            execution = sfn._executions[json.loads(answer[2])["executionArn"]]
            machine = sfn._state_machines[execution["stateMachineArn"]]
            execution["definition"] = machine["definition"]
        return answer

    return start


def _describing(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def describe(data: dict[str, Any]) -> Any:
        answer = original(data)
        if answer[0] != 200:
            return answer
        execution = sfn._executions[data["executionArn"]]
        reason = _why_not(execution)
        redrive = {
            "redriveCount": execution.get("redriveCount", 0),
            "redriveStatus": "NOT_REDRIVABLE" if reason else "REDRIVABLE",
        }
        if reason:
            redrive["redriveStatusReason"] = reason
        if "redriveDate" in execution:
            redrive["redriveDate"] = execution["redriveDate"]
        return sfn.json_response({**json.loads(answer[2]), **redrive})

    return describe


def _why_not(execution: Execution) -> str | None:
    """Why the execution can not be redriven; None when it can."""
    if "mapRunArn" in execution:
        return "The execution belongs to a Map Run; redrive the execution that has the Map Run."
    if execution["status"] not in _REDRIVABLE:
        return f"Execution is {execution['status']} and cannot be redriven"
    return None


def _redrive(sfn: Any, data: dict[str, Any]) -> Any:
    arn = data.get("executionArn", "")
    execution = sfn._executions.get(arn)
    if execution is None:
        return sfn.error_response_json(
            "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400
        )
    reason = _why_not(execution)
    if reason:
        return sfn.error_response_json("ExecutionNotRedrivable", reason, 400)
    for name in ("error", "cause"):
        execution.pop(name, None)
    count = execution.get("redriveCount", 0) + 1
    execution.update(
        {"status": "RUNNING", "stopDate": None, "output": None},
        redriveCount=count,
        redriveDate=sfn.now_iso(),
    )
    stopped_executions.begin_again(arn)
    details = {"executionRedrivenEventDetails": {"redriveCount": count}}
    sfn._add_event(execution, "ExecutionRedriven", details)
    sfn._emit_execution_status_event(execution)
    # A copy of the context: whose account and region this is lies in it.
    work = partial(stopped_executions.within_run, arn, partial(_go_on, sfn, execution))
    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()
    return sfn.json_response({"redriveDate": execution["redriveDate"]})


def _go_on(sfn: Any, execution: Execution) -> None:
    try:
        output = json.dumps(_walk(sfn, execution))
    except sfn._ExecutionError as error:
        sfn._fail_execution(execution, error.error, error.cause)
        return
    except Exception as error:  # noqa: BLE001 - as MiniStack does: the execution says what it was
        sfn._fail_execution(execution, "States.Runtime", str(error))
        return
    execution.update(status="SUCCEEDED", output=output, stopDate=sfn.now_iso())
    details = {"executionSucceededEventDetails": {"output": output}}
    sfn._add_event(execution, "ExecutionSucceeded", details)
    sfn._emit_execution_status_event(execution)


def _walk(sfn: Any, execution: Execution) -> Any:
    """From the unsuccessful state on; the output of the last one."""
    machine = sfn._state_machines[execution["stateMachineArn"]]
    definition = json.loads(execution.get("definition") or machine["definition"])
    ctx = _context(execution, machine, definition)
    name, value = _unsuccessful_state(execution, definition)
    while name:
        state = definition["States"][name]
        kind = state["Type"]
        ctx["State"] = {"Name": name, "EnteredTime": sfn.now_iso(), "RetryCount": 0}
        entered = {"name": name, "input": json.dumps(value)}
        sfn._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
        if kind == "Fail":
            raise sfn._ExecutionError(*sfn._fail_state_error(state, value, ctx))
        left = name
        if kind == "Succeed":
            value = sfn._apply_input_path(state, value, ctx)
            value, name = sfn._apply_output_path(state, value, ctx), None
        else:
            execute = getattr(sfn, f"_execute_{kind.lower()}")
            with_execution = (execution,) if kind in _WITH_EXECUTION else ()
            value, name = execute(state, value, *with_execution, ctx)
        exited = {"name": left, "output": json.dumps(value)}
        sfn._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": exited})
    return value


def _unsuccessful_state(execution: Execution, definition: dict[str, Any]) -> tuple[str | None, Any]:
    """The last state entered, and what it was given."""
    for event in reversed(execution["events"]):
        entered = event.get("stateEnteredEventDetails")
        if entered:
            return entered["name"], json.loads(entered["input"])
    return definition["StartAt"], json.loads(execution["input"])


def _context(
    execution: Execution, machine: dict[str, Any], definition: dict[str, Any]
) -> dict[str, Any]:
    """The context object, as MiniStack makes it for a start."""
    return {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "RedriveCount": execution["redriveCount"],
            "RedriveTime": execution["redriveDate"],
            "StartTime": execution["startDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }
