"""Gap: Step Functions' tasks for SageMaker's transform jobs. They ask the SageMaker stand-in.

`arn:aws:states:::sagemaker:createTransformJob`, with `.sync` too, and
`arn:aws:states:::aws-sdk:sagemaker:…TransformJob`. The two kinds name errors and write moments as
two SDKs do: the optimized integration is older.
https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from localcloud.emulator import patching
from localcloud.emulator.sagemaker_calls import NO_ANSWER, SageMakerError, call
from localcloud.emulator.state_machine_roles import require
from localcloud.emulator.stopped_executions import RunEndedError, current_run

_AWS_SDK_LOOKS = "59a970e1a7c0"
_CREATE = "arn:aws:states:::sagemaker:createTransformJob"
_SDK = "arn:aws:states:::aws-sdk:sagemaker:"
_SDK_OPERATIONS = (
    "createTransformJob",
    "describeTransformJob",
    "listTransformJobs",
    "stopTransformJob",
)
_POLL_SECONDS = 0.2
# A stand-in that is being restarted is no reason to give up a job that it goes on with.
_SILENCE_SECONDS = 60.0
# The errors that SageMaker's API model names; SDKs have no class for any other.
_MODELED = frozenset(
    {"ConflictException", "ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound"}
)
_MOMENTS = frozenset({"CreationTime", "LastModifiedTime", "TransformStartTime", "TransformEndTime"})

Moment = Callable[[float], object]


def install() -> None:
    """Register the tasks."""
    sfn = patching.module("services.stepfunctions")

    def aws_sdk(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
        def dispatch(resource: str, request: Any) -> Any:
            if resource.startswith(_SDK):
                return _call_as_sdk(sfn, resource.removeprefix(_SDK), request)
            return original(resource, request)

        return dispatch

    sfn._SERVICE_DISPATCH[_CREATE] = partial(_create, sfn)
    patching.replace(sfn, "_invoke_aws_sdk_integration", _AWS_SDK_LOOKS, aws_sdk)


def _create(sfn: Any, resource: str, request: dict[str, Any]) -> dict[str, Any]:
    job = f"sagemaker:transform-job/{request.get('TransformJobName', '*')}"
    actions = ("Create", "Describe", "Stop") if resource == f"{_CREATE}.sync" else ("Create",)
    for action in actions:
        name = f"sagemaker:{action}TransformJob"
        require(sfn, name, job, error="SageMaker.AmazonSageMakerException")
    try:
        created = call("CreateTransformJob", request)
    except SageMakerError as error:
        raise _optimized_error(sfn, error) from error
    if resource != f"{_CREATE}.sync":
        return created
    description = _ended(sfn, request["TransformJobName"])
    if description["TransformJobStatus"] != "Completed":
        raise sfn._ExecutionError("States.TaskFailed", json.dumps(description))
    return description


def _ended(sfn: Any, name: str) -> dict[str, Any]:
    """The job's description once it has ended; a job whose execution is stopped is stopped."""
    run = current_run()
    last_heard = time.monotonic()
    try:
        while True:
            run.leave_if_stopped()
            try:
                job = call("DescribeTransformJob", {"TransformJobName": name})
            except SageMakerError as error:
                if error.code != NO_ANSWER or time.monotonic() - last_heard > _SILENCE_SECONDS:
                    raise _optimized_error(sfn, error) from error
            else:
                last_heard = time.monotonic()
                if job["TransformJobStatus"] not in ("InProgress", "Stopping"):
                    return _with_moments(job, _milliseconds)
            run.wait(_POLL_SECONDS)
    except RunEndedError:
        if not run.is_abandoned:
            with contextlib.suppress(SageMakerError):  # as on AWS: the best that can be done
                call("StopTransformJob", {"TransformJobName": name})
        raise


def _call_as_sdk(sfn: Any, action: str, request: dict[str, Any]) -> dict[str, Any]:
    if action not in _SDK_OPERATIONS:
        raise sfn._ExecutionError("States.Runtime", f"{_SDK}{action} is not emulated")
    operation = action[0].upper() + action[1:]
    job = f"sagemaker:transform-job/{request.get('TransformJobName', '*')}"
    require(sfn, f"sagemaker:{operation}", job, error="SageMaker.SageMakerException")
    try:
        return _with_moments(call(operation, request), _iso)
    except SageMakerError as error:
        raise sfn._ExecutionError(
            f"SageMaker.{_class_name(error, 'SageMakerException')}",
            f"{error.detail} (Service: SageMaker, Status Code: 400, Request ID: local)",
        ) from error


def _optimized_error(sfn: Any, error: SageMakerError) -> Exception:
    cause = f"{error.detail} (Service: AmazonSageMaker; Status Code: 400; Error Code: {error.code})"
    name = f"SageMaker.{_class_name(error, 'AmazonSageMakerException')}"
    failure: Exception = sfn._ExecutionError(name, cause)
    return failure


def _class_name(error: SageMakerError, any_other: str) -> str:
    """The SDK's exception class for an error code."""
    if error.code == NO_ANSWER:
        return "SdkClientException"
    if error.code in _MODELED:
        return error.code.removesuffix("Exception") + "Exception"
    return any_other


def _with_moments(answer: dict[str, Any], written: Moment) -> dict[str, Any]:
    """`answer` with its moments, seconds since the epoch, written in another way."""

    def rewritten(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: rewritten(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [rewritten(item) for item in value]
        return written(value) if name in _MOMENTS else value

    return {name: rewritten(value, name) for name, value in answer.items()}


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
