"""Bulk runs as executions of Step Functions: ``RUN-1``, and ``RUN-2`` after a resume."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from imagedrop.target import Target
from pipeline.adapters.service_errors import error_code

# With the round and a hash it is the name of a transform job (63 characters).
RUN_NAME_CHARACTERS = 40
TIME_FORMAT = "%Y%m%dt%H%M%S"


class ExecutionStatus(StrEnum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a run; ``attempt`` is 1 for the first."""

    run: str
    attempt: int
    status: ExecutionStatus
    started_at: datetime
    input: Mapping[str, Any]
    error: str
    cause: str

    @property
    def name(self) -> str:
        return f"{self.run}-{self.attempt}"


class BulkRuns:
    """The runs of one stack."""

    def __init__(self, stepfunctions: Any, state_machine_arn: str) -> None:
        self._stepfunctions = stepfunctions
        self._state_machine_arn = state_machine_arn

    def start(self, run_input: Mapping[str, Any], attempt: int = 1) -> str:
        """Starts an execution and returns its name.

        Raises:
            UserError: an execution of this name exists.
        """
        name = f"{run_input['run']}-{attempt}"
        try:
            self._stepfunctions.start_execution(
                stateMachineArn=self._state_machine_arn, name=name, input=json.dumps(run_input)
            )
        except ClientError as error:
            if error_code(error) == "ExecutionAlreadyExists":
                raise UserError(
                    f"There is a run {name} already.",
                    f"See it with: imagedrop bulk status {run_input['run']}",
                ) from error
            raise
        return name

    def resume(self, run: str) -> str:
        """Starts a run again with its input, and returns the execution's name.

        The workflow skips what is done.

        Raises:
            UserError: there is no such run, or it is running.
        """
        last = self.last_execution(run)
        if last.status is ExecutionStatus.RUNNING:
            raise UserError(
                f"{run} is running.", f"Watch it with: imagedrop bulk status {run} --wait"
            )
        return self.start(last.input, last.attempt + 1)

    def stop(self, run: str) -> None:
        """Stops a run.

        Raises:
            UserError: there is no such run, or it is not running.
        """
        last = self.last_execution(run)
        if last.status is not ExecutionStatus.RUNNING:
            raise UserError(
                f"{run} is not running: {last.status}.",
                f"See its result with: imagedrop bulk status {run}",
            )
        self._stepfunctions.stop_execution(
            executionArn=self._execution_arn(last.name),
            error="Stopped",
            cause="imagedrop bulk stop",
        )

    def last_execution(self, run: str) -> Execution:
        """Returns a run's latest execution.

        Raises:
            UserError: there is no such run.
        """
        last = None
        attempt = 1
        while (found := self._describe(run, attempt)) is not None:
            last = found
            attempt += 1
        if last is None:
            raise UserError(f"There is no run {run}.", "List the runs with: imagedrop bulk list")
        return last

    def newest(self) -> str:
        """Returns the name of the run that was started or resumed last.

        Raises:
            UserError: there are no runs.
        """
        for name in self.names():
            return name
        raise UserError("There are no bulk runs.", "Start one with: imagedrop bulk start FOLDER")

    def names(self) -> Iterator[str]:
        """Yields each run's name once, newest first. Step Functions keeps them for 90 days."""
        seen = set()
        pages = self._stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self._state_machine_arn
        )
        for page in pages:
            for each in page["executions"]:
                run, dash, attempt = each["name"].rpartition("-")
                if dash and attempt.isdigit() and run not in seen:
                    seen.add(run)
                    yield run

    def _describe(self, run: str, attempt: int) -> Execution | None:
        try:
            found = self._stepfunctions.describe_execution(
                executionArn=self._execution_arn(f"{run}-{attempt}")
            )
        except ClientError as error:
            if error_code(error) in ("ExecutionDoesNotExist", "InvalidArn", "ValidationException"):
                return None
            raise
        return Execution(
            run=run,
            attempt=attempt,
            status=ExecutionStatus(found["status"]),
            started_at=found["startDate"],
            input=json.loads(found["input"]),
            error=found.get("error", ""),
            cause=found.get("cause", ""),
        )

    def _execution_arn(self, name: str) -> str:
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"


def bulk_runs(target: Target) -> BulkRuns:
    """Returns the runs of a stack.

    Raises:
        UserError: the stack is older than bulk runs.
    """
    machine = target.output("BulkStateMachineArn", "bulk workflow")
    return BulkRuns(target.client("stepfunctions"), machine)


def name_run(folder_name: str, now: datetime) -> str:
    """Makes a run's name of the folder's name (lower case, digits, hyphens) and the UTC time."""
    time = now.astimezone(UTC).strftime(TIME_FORMAT)
    longest = RUN_NAME_CHARACTERS - len(time) - 1
    slug = re.sub(r"[^a-z0-9]+", "-", folder_name.lower())[:longest].strip("-")
    return f"{slug or 'run'}-{time}"
