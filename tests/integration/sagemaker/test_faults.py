"""The faults of faults.json occur, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.stand_in import StandIn
from tests.integration.sagemaker.test_transform_jobs import job_request, run


@pytest.fixture(scope="session")
def faulty_model(shared: StandIn) -> str:
    shared.create_model("faulty")
    return "faulty"


@pytest.fixture
def faults(shared: StandIn) -> Iterator[Path]:
    path = shared.state_dir / "faults.json"
    yield path
    path.unlink()


def four_objects(s3: FakeS3, bucket: str) -> None:
    for name in "abcd":
        s3.objects[f"{bucket}/in/{name}"] = b"x"


def once(name: str, model: str) -> dict[str, Any]:
    retries = {"InvocationsMaxRetries": 1, "InvocationsTimeoutInSeconds": 5}
    return job_request(name, model, ModelClientConfig=retries)


def test_outputs_are_dropped_and_truncated_by_the_number_of_their_object(
    shared: StandIn, s3: FakeS3, faulty_model: str, faults: Path
) -> None:
    four_objects(s3, "lossy")
    faults.write_text(json.dumps({"drop_outputs": [1, 3], "truncate_outputs": [2]}))

    job = run(shared, job_request("lossy", faulty_model))

    assert job["TransformJobStatus"] == "Completed"
    outputs = s3.outputs("lossy/out/")
    assert list(outputs) == ["b.out", "d.out"]
    assert json.loads(outputs["d.out"])
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(outputs["b.out"])


def test_object_fails_after_all_its_retries(
    shared: StandIn, s3: FakeS3, faulty_model: str, faults: Path
) -> None:
    four_objects(s3, "broken")
    faults.write_text(json.dumps({"fail_objects": [4]}))

    job = run(shared, once("broken", faulty_model))

    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert list(s3.outputs("broken/out/")) == ["a.out", "b.out", "c.out"]


def test_so_many_calls_are_throttled_and_the_next_is_not(
    shared: StandIn, s3: FakeS3, faulty_model: str, faults: Path
) -> None:
    four_objects(s3, "throttled")
    faults.write_text(json.dumps({"throttle_create": 2}))
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            shared.sagemaker.create_transform_job(**job_request("throttled", faulty_model))
        assert caught.value.response["Error"]["Code"] == "ThrottlingException"

    assert run(shared, job_request("throttled", faulty_model))["TransformJobStatus"] == "Completed"


def test_jobs_of_another_name_are_left_alone(
    shared: StandIn, s3: FakeS3, faulty_model: str, faults: Path
) -> None:
    faults.write_text(json.dumps({"jobs": "*-0-*", "throttle_create": 9, "fail_objects": [1]}))
    four_objects(s3, "run-1-abc")

    assert run(shared, once("run-1-abc", faulty_model))["TransformJobStatus"] == "Completed"
    with pytest.raises(ClientError, match="Rate exceeded"):
        shared.sagemaker.create_transform_job(**once("run-0-abc", faulty_model))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("[1]", "not an object"),
        ("{", "not JSON"),
        ('{"drop": [1]}', "unknown member drop"),
        ('{"drop_outputs": [0]}', r"drop_outputs can not be \[0\]"),
        ('{"throttle_create": "2"}', 'throttle_create can not be "2"'),
    ],
)
def test_file_that_is_not_as_described_is_refused(
    shared: StandIn, faulty_model: str, faults: Path, told: str, why: str
) -> None:
    faults.write_text(told)
    with pytest.raises(ClientError, match=why):
        shared.sagemaker.create_transform_job(**job_request("misread", faulty_model))
