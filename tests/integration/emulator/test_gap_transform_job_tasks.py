"""Contract: state machines make, watch, describe and stop transform jobs in the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.emulator.emulator_harness import Emulator, eventually
from tests.integration.emulator.fake_sagemaker import FakeSageMaker

_CREATE = "arn:aws:states:::sagemaker:createTransformJob"
_AWS_SDK = "arn:aws:states:::aws-sdk:sagemaker"


@pytest.fixture
def sagemaker(emulator: Emulator) -> Iterator[FakeSageMaker]:
    fake = emulator.sagemaker
    fake.calls.clear()
    yield fake
    fake.jobs_end, fake.refusal = "Completed", None


def _task(emulator: Emulator, name: str, resource: str, **request: Any) -> str:
    state = {"Type": "Task", "Resource": resource, "Parameters": request, "End": True}
    return emulator.state_machine(name, {"StartAt": "Task", "States": {"Task": state}})


def test_sync_task_ends_with_its_job_and_gives_its_description(
    emulator: Emulator, sagemaker: FakeSageMaker
) -> None:
    resources = {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1}
    machine = _task(
        emulator,
        "transforms",
        f"{_CREATE}.sync",
        **{"TransformJobName.$": "$.job", "MaxPayloadInMB": 20, "TransformResources": resources},
    )

    ended = emulator.ended(emulator.start(machine, {"job": "run-0"}))

    assert sagemaker.requests("CreateTransformJob") == [
        {"TransformJobName": "run-0", "MaxPayloadInMB": 20, "TransformResources": resources}
    ]
    output = json.loads(ended["output"])
    assert output["TransformJobStatus"] == "Completed"
    assert output["CreationTime"] == 1732550400250


@pytest.mark.parametrize("end", ["Failed", "Stopped"])
def test_job_that_does_not_complete_fails_its_task_and_is_the_cause(
    emulator: Emulator, sagemaker: FakeSageMaker, end: str
) -> None:
    sagemaker.jobs_end = end
    machine = _task(emulator, f"job-{end}", f"{_CREATE}.sync", TransformJobName=end)

    ended = emulator.ended(emulator.start(machine))

    assert ended["error"] == "States.TaskFailed"
    assert json.loads(ended["cause"])["TransformJobStatus"] == end


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ResourceInUse", "SageMaker.ResourceInUseException"),
        ("ResourceLimitExceeded", "SageMaker.ResourceLimitExceededException"),
        ("ThrottlingException", "SageMaker.AmazonSageMakerException"),
        ("ValidationException", "SageMaker.AmazonSageMakerException"),
    ],
)
def test_refused_call_has_the_name_that_the_optimized_integration_gives_it(
    emulator: Emulator, sagemaker: FakeSageMaker, code: str, error: str
) -> None:
    sagemaker.refusal = code
    machine = _task(emulator, f"refused-{code}", f"{_CREATE}.sync", TransformJobName="refused")

    ended = emulator.ended(emulator.start(machine))

    assert ended["error"] == error
    assert "as asked" in ended["cause"]
    assert code in ended["cause"]


@pytest.mark.parametrize("resource", [_CREATE, f"{_AWS_SDK}:stopTransformJob"])
def test_task_that_the_product_does_not_use_is_not_emulated(
    emulator: Emulator, sagemaker: FakeSageMaker, resource: str
) -> None:
    name = "unused-" + resource.rsplit(":", 1)[1]
    ended = emulator.ended(emulator.start(_task(emulator, name, resource, TransformJobName=name)))

    assert ended["error"] == "States.Runtime"
    assert "is not emulated" in ended["cause"]
    assert not sagemaker.calls


def test_job_is_stopped_with_its_execution(emulator: Emulator, sagemaker: FakeSageMaker) -> None:
    sagemaker.jobs_end = None
    machine = _task(emulator, "stopped-job", f"{_CREATE}.sync", TransformJobName="stopped")
    execution = emulator.start(machine)
    eventually(lambda: "stopped" in sagemaker.jobs)

    emulator.client("stepfunctions").stop_execution(executionArn=execution)

    eventually(lambda: sagemaker.jobs["stopped"]["TransformJobStatus"] == "Stopped")
    assert emulator.ended(execution)["status"] == "ABORTED"


def test_sdk_task_describes_a_job(emulator: Emulator, sagemaker: FakeSageMaker) -> None:
    sagemaker.jobs_end = None
    sagemaker.answer("CreateTransformJob", {"TransformJobName": "described"})
    name = {"TransformJobName": "described"}
    describe = _task(emulator, "describe", f"{_AWS_SDK}:describeTransformJob", **name)

    output = json.loads(emulator.ended(emulator.start(describe))["output"])
    assert output["TransformJobStatus"] == "InProgress"
    assert output["CreationTime"] == "2024-11-25T16:00:00.250Z"


def test_sdk_task_s_error_has_the_name_of_the_sdk_s_class(
    emulator: Emulator, sagemaker: FakeSageMaker
) -> None:
    machine = _task(
        emulator, "absent", f"{_AWS_SDK}:describeTransformJob", TransformJobName="absent"
    )

    ended = emulator.ended(emulator.start(machine))

    assert ended["error"] == "SageMaker.SageMakerException"
    assert "Could not find requested job with name: absent" in ended["cause"]
