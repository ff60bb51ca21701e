"""Gap: StopExecution takes effect between states only, and not at all within a Map.

On AWS a stopped execution starts nothing more: no retry, no next state, no other item of a Map, and
waiting ends. Its Map Runs and their children are `ABORTED` with it.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from localcloud.emulator import patching

_RUN_LOOKS = "996dff84e0e0"
_STOP_LOOKS = "44d2d84ccd5c"
_FAIL_LOOKS = "e6da895fa0b7"
_ADD_EVENT_LOOKS = "b1db143ccd21"
_SUB_MACHINE_LOOKS = "f8d844168b14"
_DISTRIBUTED_MAP_LOOKS = "2b77d3ec0e04"
_SLEEP_LOOKS = "5ed19df2efa9"
# Functions that may start something; each returns early once the run has ended.
_STEPS = {
    "_execute_pass": "b1dff47048bc",
    "_execute_choice": "468955fcd4a4",
    "_execute_wait": "a1012679c72d",
    "_execute_task": "53c818d247db",
    "_execute_parallel": "2166e1f53e5f",
    "_execute_map": "18ad39652912",
    "_invoke_resource": "a85d2be9a858",
    "_invoke_with_callback": "bbb38423156a",
}

Execution = dict[str, Any]


class RunEndedError(SystemExit):
    """Ends the thread it is raised in, silently; no Retry and no Catch of a state sees it."""


class Run:
    """One execution at work, from its start until it ends or is stopped."""

    def __init__(self, execution_arn: str) -> None:
        self.execution_arn = execution_arn
        self._stopped = threading.Event()
        self.is_abandoned = False

    @property
    def is_stopped(self) -> bool:
        """Whether StopExecution, or the end of the emulator, ended it."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Let every thread of it end at its next step."""
        self._stopped.set()

    def abandon(self) -> None:
        """As `stop`, but jobs that it started continue."""
        self.is_abandoned = True
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Sleep, less when the run is stopped.

        Raises:
            RunEndedError: it was stopped.
        """
        self._stopped.wait(seconds)
        self.leave_if_stopped()

    def leave_if_stopped(self) -> None:
        """Return while the run continues.

        Raises:
            RunEndedError: it was stopped.
        """
        if self.is_stopped:
            raise RunEndedError


_runs: dict[str, Run] = {}  # by execution ARN
_current: contextvars.ContextVar[Run] = contextvars.ContextVar("run")


def current_run() -> Run:
    """Return the run of the calling thread; outside of executions one that never stops."""
    return _current.get(_UNSTOPPABLE)


_UNSTOPPABLE = Run("")


def abandon_all() -> None:
    """End all threads of all runs, because the emulator ends."""
    for run in list(_runs.values()):
        run.abandon()


def _within_run(execution_arn: str, work: Callable[[], None]) -> None:
    """Call `work` as part of the execution's run."""
    token = _current.set(_runs.setdefault(execution_arn, Run(execution_arn)))
    try:
        work()
    finally:
        _current.reset(token)


def install() -> None:
    """Make StopExecution stop everything."""
    sfn = patching.module("services.stepfunctions")

    def run(original: Callable[[str], None]) -> Callable[[str], None]:
        return lambda arn: _within_run(arn, partial(original, arn))

    def stop(original: Callable[..., Any]) -> Callable[..., Any]:
        return partial(_stop, sfn, original)

    patching.replace(sfn, "_run_execution", _RUN_LOOKS, run)
    patching.replace(sfn, "_stop_execution", _STOP_LOOKS, stop)
    patching.replace(sfn, "_fail_execution", _FAIL_LOOKS, _unless_stopped)
    patching.replace(sfn, "_add_event", _ADD_EVENT_LOOKS, _unless_stopped)
    patching.replace(sfn, "_run_sub_machine", _SUB_MACHINE_LOOKS, _aborting_the_child)
    patching.replace(sfn, "_run_distributed_map", _DISTRIBUTED_MAP_LOOKS, partial(_aborting, sfn))
    patching.replace(sfn, "_scaled_sleep", _SLEEP_LOOKS, lambda _: partial(_sleep, sfn))
    for name, looks in _STEPS.items():
        patching.replace(sfn, name, looks, _leaving_when_stopped)


def _stop(sfn: Any, original: Callable[..., Any], data: dict[str, Any]) -> Any:
    answer = original(data)
    arn = data.get("executionArn")
    if answer[0] == 200 and arn is not None:
        _runs.setdefault(arn, Run(arn)).stop()
        for map_run in _map_runs_of(sfn, arn):
            if map_run["status"] == "RUNNING":
                map_run["_aborted"] = True
                _abort(map_run)
        arns = {map_run["mapRunArn"] for map_run in _map_runs_of(sfn, arn)}
        for child in list(sfn._executions.values()):
            if child.get("mapRunArn") in arns and child["status"] == "RUNNING":
                _abort(child)
    return answer


def _unless_stopped(original: Callable[..., Any]) -> Callable[..., Any]:
    """Ignore what a thread of a stopped run still reports."""

    def write(execution: Execution, *details: Any) -> Any:
        return None if current_run().is_stopped else original(execution, *details)

    return write


def _leaving_when_stopped(original: Callable[..., Any]) -> Callable[..., Any]:
    def step(*args: Any, **kwargs: Any) -> Any:
        run = current_run()
        run.leave_if_stopped()
        try:
            return original(*args, **kwargs)
        finally:
            run.leave_if_stopped()

    return step


def _sleep(sfn: Any, seconds: float) -> None:
    current_run().wait(seconds * sfn._SFN_WAIT_SCALE)


def _aborting_the_child(original: Callable[..., Any]) -> Callable[..., Any]:
    def walk(states: Any, start_at: Any, given: Any, execution: Execution, ctx: Any) -> Any:
        try:
            return original(states, start_at, given, execution, ctx)
        except RunEndedError:
            if "mapRunArn" in execution:  # a Map's child, not the execution that has the Map
                _abort(execution)
            raise

    return walk


def _aborting(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def run_map(state: Any, given: Any, effective: Any, iterator: Any, *rest: Any) -> Any:
        try:
            return original(state, given, effective, iterator, *rest)
        finally:
            # MiniStack overwrites the status once the last child has ended.
            execution: Execution = rest[0]
            for map_run in _map_runs_of(sfn, execution["executionArn"]):
                if map_run.get("_aborted"):
                    _abort(map_run)
                    for counts in (map_run["itemCounts"], map_run["executionCounts"]):
                        counts["aborted"] += counts["pending"] + counts["running"]
                        counts.update(pending=0, running=0)

    return run_map


def _map_runs_of(sfn: Any, execution_arn: str) -> list[dict[str, Any]]:
    return [run for run in list(sfn._map_runs.values()) if run["executionArn"] == execution_arn]


def _abort(record: dict[str, Any]) -> None:
    stop_date = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record.update(status="ABORTED", stopDate=record.get("stopDate") or stop_date)
