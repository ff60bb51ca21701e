"""The state folder restores resources after a restart."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.sagemaker import fake_s3
from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.fake_serving import build_archive
from tests.integration.sagemaker.stand_in import BUCKET, ROOT, StandIn, until
from tests.integration.sagemaker.test_transform_jobs import ended, job_request


def answering(stand_in: StandIn, name: str) -> str:
    answer = stand_in.runtime.invoke_endpoint(EndpointName=name, Body=b"x")
    version: str = json.loads(answer["Body"].read())["version"]
    return version


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_everything_is_back_after_a_restart(stand_in: StandIn, how: signal.Signals) -> None:
    stand_in.create_endpoint("stays", "v2")
    before = stand_in.sagemaker.describe_endpoint(EndpointName="stays")
    stand_in.end(how)
    stand_in.start()
    after = stand_in.settled("stays")
    for member in ("EndpointStatus", "EndpointConfigName", "CreationTime", "ProductionVariants"):
        assert after[member] == before[member]
    assert answering(stand_in, "stays") == "v2"
    assert stand_in.sagemaker.describe_endpoint_config(EndpointConfigName="stays")
    assert stand_in.sagemaker.describe_model(ModelName="stays")


def test_endpoint_comes_back_without_its_archive_in_s3(stand_in: StandIn, s3: FakeS3) -> None:
    s3.objects[f"{BUCKET}/passing/model.tar.gz"] = s3.objects[f"{BUCKET}/v1/model.tar.gz"]
    stand_in.create_endpoint("offline", "passing")
    stand_in.end()
    del s3.objects[f"{BUCKET}/passing/model.tar.gz"]
    stand_in.start()
    assert stand_in.settled("offline")["EndpointStatus"] == "InService"
    assert answering(stand_in, "offline") == "v1"


def test_endpoint_under_creation_is_created_after_a_restart(stand_in: StandIn) -> None:
    stand_in.create_model("begun")
    stand_in.create_config("begun", "begun")
    stand_in.sagemaker.create_endpoint(EndpointName="begun", EndpointConfigName="begun")
    stand_in.end(signal.SIGKILL)
    stand_in.start()
    assert stand_in.settled("begun")["EndpointStatus"] == "InService"


def test_archives_nobody_runs_are_removed_at_the_start(stand_in: StandIn) -> None:
    stand_in.create_endpoint("leaves")
    models = stand_in.state_dir / "models"
    assert len(list(models.iterdir())) == 1
    stand_in.sagemaker.delete_endpoint(EndpointName="leaves")
    until(lambda: not stand_in.sagemaker.list_endpoints()["Endpoints"])
    stand_in.end()
    stand_in.start()
    assert list(models.iterdir()) == []


def test_job_under_way_is_run_again_after_a_restart(
    stand_in: StandIn, s3: FakeS3, tmp_path: Path
) -> None:
    s3.objects["again/in/a.txt"] = f"hold {tmp_path}".encode()
    stand_in.create_model("again")
    stand_in.sagemaker.create_transform_job(
        TransformJobName="again",
        ModelName="again",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://again/in/"}},
        },
        TransformOutput={"S3OutputPath": "s3://again/out"},
        TransformResources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    )
    until(lambda: list(tmp_path.glob("waiting-*")))
    stand_in.end(signal.SIGKILL)
    (tmp_path / "go").touch()
    stand_in.start()

    def status() -> str:
        job: str = stand_in.sagemaker.describe_transform_job(TransformJobName="again")[
            "TransformJobStatus"
        ]
        return job

    until(lambda: status() == "Completed")
    assert list(s3.outputs("again/out/")) == ["a.txt.out"]
    s3.objects["again/out/a.txt.out"] = b"not written again"
    stand_in.end()
    stand_in.start()
    assert status() == "Completed"
    assert s3.objects["again/out/a.txt.out"] == b"not written again"


def test_job_under_way_waits_for_an_s3_that_comes_back_later(tmp_path: Path) -> None:
    objects = {
        f"{BUCKET}/v1/model.tar.gz": build_archive("v1"),
        "later/in/a": f"hold {tmp_path}".encode(),
    }
    with fake_s3.running(objects=objects) as s3:
        port = s3.server_address[1]
        stand_in = StandIn(tmp_path / "sagemaker", s3.url)
        stand_in.start()
        stand_in.create_model("later")
        stand_in.sagemaker.create_transform_job(**job_request("later", "later"))
        until(lambda: list(tmp_path.glob("waiting-*")))
        stand_in.end()
    (tmp_path / "go").touch()
    with socket.create_server(("127.0.0.1", port)) as nobody:
        nobody.settimeout(30)
        stand_in.start()
        for _ in range(7):  # more than botocore tries for one call
            nobody.accept()[0].close()
    try:
        with fake_s3.running(port, objects) as s3:
            assert ended(stand_in, "later")["TransformJobStatus"] == "Completed"
    finally:
        stand_in.end()
    assert list(s3.outputs("later/out/")) == ["a.out"]


def test_second_stand_in_on_the_same_folder_is_refused(stand_in: StandIn, s3: FakeS3) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "localcloud.sagemaker", "--port", "1"),
            *("--state-dir", str(stand_in.state_dir), "--aws-endpoint-url", s3.url),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    assert "another stand-in for SageMaker uses" in result.stderr
