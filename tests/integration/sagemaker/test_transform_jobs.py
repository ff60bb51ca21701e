"""Batch Transform as boto3 and the bucket see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.stand_in import StandIn, until

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture(scope="session")
def model(shared: StandIn) -> str:
    shared.create_model("batch", Environment={"FROM_MODEL": "yes"})
    return "batch"


@pytest.fixture(scope="session")
def wishing(shared: StandIn) -> str:
    """A model whose container answers /execution-parameters: 3 at once, 1 MB."""
    shared.create_model("wishes", "wishes")
    return "wishes"


def job_request(name: str, model: str, **changes: Any) -> dict[str, Any]:
    """A job over ``s3://NAME/in/`` into ``s3://NAME/out``."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/in/"} | changes.pop("source", {})
    given = {"DataSource": {"S3DataSource": source}} | changes.pop("given", {})
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"ContentType": "application/x-npy", **given},
        "TransformOutput": {"S3OutputPath": f"s3://{name}/out"} | changes.pop("output", {}),
        "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        **changes,
    }


def run(stand_in: StandIn, request: dict[str, Any]) -> dict[str, Any]:
    """Create the job and wait until it has ended; its description."""
    stand_in.sagemaker.create_transform_job(**request)
    return ended(stand_in, request["TransformJobName"])


def ended(stand_in: StandIn, name: str) -> dict[str, Any]:
    def described() -> dict[str, Any] | None:
        job: dict[str, Any] = stand_in.sagemaker.describe_transform_job(TransformJobName=name)
        return None if job["TransformJobStatus"] in ("InProgress", "Stopping") else job

    result: dict[str, Any] = until(described, 30)
    return result


def test_every_object_under_the_prefix_gets_its_output_beside_its_folder(
    shared: StandIn, s3: FakeS3, model: str
) -> None:
    names = ["a.npy", "deep/er/b.npy", ".DS_Store", "odd ä+%20#1?.npy"]
    names += [f"many/{index:02}.npy" for index in range(20)]
    for name in names:
        s3.objects[f"prefix/in/{name}"] = name.encode()
    s3.objects["prefix/in/folder/"] = b""
    s3.objects["prefix/into/other.npy"] = b"not under the prefix"
    job = run(shared, job_request("prefix", model, output={"Accept": "application/json"}))
    assert job["TransformJobStatus"] == "Completed"
    assert job["TransformJobArn"] == f"{ARN}:transform-job/prefix"
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    outputs = s3.outputs("prefix/out/")
    assert sorted(outputs) == sorted(f"{name}.out" for name in names)
    answer = json.loads(outputs["deep/er/b.npy.out"])
    assert answer["bytes"] == len("deep/er/b.npy")
    assert answer["headers"]["content-type"] == "application/x-npy"
    assert answer["headers"]["accept"] == "application/json"
    assert answer["environment"]["SAGEMAKER_BATCH"] == "true"
    assert answer["environment"]["FROM_MODEL"] == "yes"


def test_prefix_that_is_no_folder_keeps_the_rest_of_the_name(
    shared: StandIn, s3: FakeS3, model: str
) -> None:
    for name in ("shard-1.npy", "shard-2/x.npy", "other.npy"):
        s3.objects[f"partial/in/{name}"] = b"x"
    run(shared, job_request("partial", model, source={"S3Uri": "s3://partial/in/shard"}))
    assert list(s3.outputs("partial/out/")) == ["shard-1.npy.out", "shard-2/x.npy.out"]


def test_manifest_takes_exactly_what_it_names(shared: StandIn, s3: FakeS3, model: str) -> None:
    for name in ("a.npy", "b/c.npy", "unnamed.npy"):
        s3.objects[f"manifest/in/{name}"] = b"x"
    s3.objects["manifest/list.json"] = json.dumps(
        [{"prefix": "s3://manifest/in/"}, "a.npy", "b/c.npy"]
    ).encode()
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://manifest/list.json"}
    job = run(shared, job_request("manifest", model, source=source, BatchStrategy="MultiRecord"))
    assert job["TransformJobStatus"] == "Completed"
    assert list(s3.outputs("manifest/out/")) == ["a.npy.out", "b/c.npy.out"]


def test_one_failed_object_fails_the_job_and_the_other_outputs_stay(
    shared: StandIn, s3: FakeS3, model: str
) -> None:
    for name, content in (("a", b"fine"), ("b", b"bad"), ("c", b"fine")):
        s3.objects[f"failing/in/{name}"] = content
    job = run(shared, job_request("failing", model))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert list(s3.outputs("failing/out/")) == ["a.out", "c.out"]
    log = (shared.state_dir / "logs" / "TransformJobs" / "failing-data.log").read_text()
    assert "failing/in/b: ClientError: 400 bad image" in log


def test_missing_object_of_a_manifest_fails_the_job_and_the_rest_is_done(
    shared: StandIn, s3: FakeS3, model: str
) -> None:
    s3.objects["missing/in/a"] = b"x"
    s3.objects["missing/list.json"] = b'[{"prefix": "s3://missing/in/"}, "absent", "a"]'
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://missing/list.json"}
    job = run(shared, job_request("missing", model, source=source))
    assert job["TransformJobStatus"] == "Failed"
    assert list(s3.outputs("missing/out/")) == ["a.out"]


def test_server_errors_are_tried_again(shared: StandIn, s3: FakeS3, model: str) -> None:
    marker = shared.state_dir / "seen"
    s3.objects["retried/in/a"] = f"once-500 {marker}".encode()
    assert run(shared, job_request("retried", model))["TransformJobStatus"] == "Completed"
    marker.unlink()
    s3.objects["unretried/in/a"] = s3.objects["retried/in/a"]
    once = {"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 5}
    job = run(shared, job_request("unretried", model, ModelClientConfig=once))
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"


def test_timeout_of_an_invocation_fails_the_object(shared: StandIn, s3: FakeS3, model: str) -> None:
    s3.objects["slow/in/a"] = b"x"
    once = {"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 1}
    request = job_request("slow", model, given={"ContentType": "sleep/3"}, ModelClientConfig=once)
    job = run(shared, request)
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"


def test_object_above_max_payload_fails_without_being_sent(
    shared: StandIn, s3: FakeS3, model: str
) -> None:
    s3.objects["payload/in/fits"] = b"x" * 1024 * 1024
    s3.objects["payload/in/over"] = b"x" * (1024 * 1024 + 1)
    job = run(shared, job_request("payload", model, MaxPayloadInMB=1))
    assert job["TransformJobStatus"] == "Failed"
    assert list(s3.outputs("payload/out/")) == ["fits.out"]


def test_container_s_wishes_hold_where_the_request_is_silent(
    shared: StandIn, s3: FakeS3, wishing: str
) -> None:
    s3.objects["wishes/in/over"] = b"x" * (1024 * 1024 + 1)
    assert run(shared, job_request("wishes", wishing))["TransformJobStatus"] == "Failed"
    log = (shared.state_dir / "logs" / "TransformJobs" / "wishes-data.log").read_text()
    assert "MaxConcurrentTransforms=3, MaxPayloadInMB=1, BatchStrategy=SingleRecord" in log
    s3.objects["insists/in/over"] = s3.objects["wishes/in/over"]
    job = run(shared, job_request("insists", wishing, MaxPayloadInMB=2))
    assert job["TransformJobStatus"] == "Completed"


def test_line_assembly_ends_each_answer_with_a_newline(
    shared: StandIn, s3: FakeS3, model: str
) -> None:
    s3.objects["line/in/a"] = b"x"
    run(shared, job_request("line", model, output={"AssembleWith": "Line"}))
    assert s3.outputs("line/out/")["a.out"].endswith(b"}\n")


def test_nothing_to_do_is_a_failure(shared: StandIn, model: str) -> None:
    job = run(shared, job_request("empty", model))
    assert job["TransformJobStatus"] == "Failed"
    assert 'No S3 objects found under S3 URL "s3://empty/in/"' in job["FailureReason"]


def test_upload_that_fails_is_the_service_s_fault(shared: StandIn, s3: FakeS3, model: str) -> None:
    s3.objects["unwritable/in/a"] = b"x"
    s3.failing.add("unwritable/out/a.out")
    job = run(shared, job_request("unwritable", model))
    assert job["FailureReason"].startswith("InternalServerError: We encountered an internal error.")


def test_stopped_job_is_stopped_and_stays_so(
    shared: StandIn, s3: FakeS3, model: str, tmp_path: Path
) -> None:
    s3.objects["stopped/in/0"] = b"x"
    s3.objects["stopped/in/1"] = f"hold {tmp_path}".encode()
    shared.sagemaker.create_transform_job(**job_request("stopped", model))
    until(lambda: list(tmp_path.glob("waiting-*")))
    shared.sagemaker.stop_transform_job(TransformJobName="stopped")
    assert ended(shared, "stopped")["TransformJobStatus"] == "Stopped"
    assert list(s3.outputs("stopped/out/")) == ["0.out"]
    with pytest.raises(ClientError, match="transform job is in status Stopped"):
        shared.sagemaker.stop_transform_job(TransformJobName="stopped")


def test_concurrency_is_per_instance(
    shared: StandIn, s3: FakeS3, model: str, tmp_path: Path
) -> None:
    for index in range(8):
        s3.objects[f"parallel/in/{index}"] = f"hold {tmp_path}".encode()
    request = job_request("parallel", model, MaxConcurrentTransforms=3)
    request["TransformResources"] = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}
    shared.sagemaker.create_transform_job(**request)
    until(lambda: len(list(tmp_path.glob("waiting-*"))) == 6)
    (tmp_path / "go").touch()
    assert ended(shared, "parallel")["TransformJobStatus"] == "Completed"
    assert len(s3.outputs("parallel/out/")) == 8


def test_job_names_are_used_once(shared: StandIn, s3: FakeS3, model: str) -> None:
    s3.objects["named/in/a"] = b"x"
    run(shared, job_request("named", model))
    with pytest.raises(ClientError) as caught:
        shared.sagemaker.create_transform_job(**job_request("named", model))
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"


def test_unknown_jobs_and_models_are_named(shared: StandIn) -> None:
    with pytest.raises(ClientError, match="Could not find requested job with name: nowhere"):
        shared.sagemaker.describe_transform_job(TransformJobName="nowhere")
    with pytest.raises(ClientError, match=r'Could not find model "arn:'):
        shared.sagemaker.create_transform_job(**job_request("modelless", "nowhere"))


def test_more_instances_than_the_quota_are_refused(shared: StandIn, model: str) -> None:
    request = job_request("greedy", model)
    request["TransformResources"]["InstanceCount"] = 21
    with pytest.raises(ClientError, match="is 20 Instances, with current utilization of") as caught:
        shared.sagemaker.create_transform_job(**request)
    assert caught.value.response["Error"]["Code"] == "ResourceLimitExceeded"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"given": {"SplitType": "Line"}}, "Not emulated .*SplitType Line"),
        ({"given": {"CompressionType": "Gzip"}}, "Not emulated .*CompressionType Gzip"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "Not emulated .*JoinSource Input"),
        ({"MaxPayloadInMB": 101}, "must not be greater than 100 MB"),
        ({"MaxPayloadInMB": 6, "MaxConcurrentTransforms": 17}, "must not be greater than 100 MB"),
    ],
)
def test_jobs_that_can_not_be_run_as_asked_are_refused(
    shared: StandIn, model: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        shared.sagemaker.create_transform_job(**job_request("refused", model, **changes))
