"""Gap: Step Functions has no tasks for SageMaker's transform jobs. Here they call the stand-in.

The two that the bulk workflow uses: `arn:aws:states:::sagemaker:createTransformJob.sync` and
`arn:aws:states:::aws-sdk:sagemaker:describeTransformJob`. They name errors and write timestamps
differently, because AWS built them on two SDKs.
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
_SDK_DESCRIBE = f"{_SDK}describeTransformJob"
_POLL_SECONDS = 0.2
# The stand-in may be restarting; it continues its jobs then.
_SILENCE_SECONDS = 60.0
# The errors that SageMaker's API model names; SDKs have no class for any other.
_MODELED = frozenset(
    {"ConflictException", "ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound"}
)
_TIMESTAMPS = frozenset(
    {"CreationTime", "LastModifiedTime", "TransformStartTime", "TransformEndTime"}
)

Timestamp = Callable[[float], object]


def install() -> None:
    """Register the tasks."""
    sfn = patching.module("services.stepfunctions")

    def aws_sdk(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
        def dispatch(resource: str, request: Any) -> Any:
            if resource.startswith(_SDK):
                return _describe(sfn, resource, request)
            return original(resource, request)

        return dispatch

    sfn._SERVICE_DISPATCH[_CREATE] = partial(_create, sfn)
    patching.replace(sfn, "_invoke_aws_sdk_integration", _AWS_SDK_LOOKS, aws_sdk)


def _create(sfn: Any, resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """Create a job, wait for its end, return its description."""
    if resource != f"{_CREATE}.sync":
        raise sfn._ExecutionError("States.Runtime", f"{resource} is not emulated")
    job = f"sagemaker:transform-job/{request.get('TransformJobName', '*')}"
    for action in ("Create", "Describe", "Stop"):
        name = f"sagemaker:{action}TransformJob"
        require(sfn, name, job, error="SageMaker.AmazonSageMakerException")
    try:
        call("CreateTransformJob", request)
    except SageMakerError as error:
        raise _optimized_error(sfn, error) from error
    description = _ended(sfn, request["TransformJobName"])
    if description["TransformJobStatus"] != "Completed":
        raise sfn._ExecutionError("States.TaskFailed", json.dumps(description))
    return description


def _ended(sfn: Any, name: str) -> dict[str, Any]:
    """Wait for the job's end and return its description; stop it when the execution is stopped."""
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
                    return _with_timestamps(job, _milliseconds)
            run.wait(_POLL_SECONDS)
    except RunEndedError:
        if not run.is_abandoned:
            with contextlib.suppress(SageMakerError):  # best effort, as on AWS
                call("StopTransformJob", {"TransformJobName": name})
        raise


def _describe(sfn: Any, resource: str, request: dict[str, Any]) -> dict[str, Any]:
    if resource != _SDK_DESCRIBE:
        raise sfn._ExecutionError("States.Runtime", f"{resource} is not emulated")
    job = f"sagemaker:transform-job/{request.get('TransformJobName', '*')}"
    require(sfn, "sagemaker:DescribeTransformJob", job, error="SageMaker.SageMakerException")
    try:
        return _with_timestamps(call("DescribeTransformJob", request), _iso)
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


def _with_timestamps(answer: dict[str, Any], write: Timestamp) -> dict[str, Any]:
    """`answer` with its timestamps, seconds since the epoch, converted by `write`."""

    def rewritten(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: rewritten(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [rewritten(item) for item in value]
        return write(value) if name in _TIMESTAMPS else value

    return {name: rewritten(value, name) for name, value in answer.items()}


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
