"""The local cloud starts, reports it, keeps its data, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import aws, cloud, environments, processes
from localcloud.processes import LocalCloudError
from localcloud.record import Cloud, Strictness, read
from tests.clouds import stopped_with_the_tests
from tests.integration.sagemaker.test_training_jobs import job_request

_TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  PythonRuntime: {Type: String}
  Architecture: {Type: String}
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: image, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: image, AttributeType: S}]
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: !Ref PythonRuntime
      Architectures: [!Ref Architecture]
      CodeUri: functions/
      Handler: environment.handler
      Timeout: 20
Outputs:
  Bucket: {Value: !Ref Bucket}
  Table: {Value: !Ref Table}
  Function: {Value: !Ref Function}
"""
_SAMCONFIG = """
version = 0.1
[local.deploy.parameters]
capabilities = "CAPABILITY_IAM"
resolve_s3 = true
"""
_TELL_ENVIRONMENT = """
import os

def handler(event, context):
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
"""
_USERS = {
    "AWS_PROFILE": "no-such-profile",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1",
    "AWS_REGION": "eu-central-1",
    "HTTP_PROXY": "http://127.0.0.1:1",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "functions").mkdir(parents=True)
    (folder / "template.yaml").write_text(_TEMPLATE)
    (folder / "samconfig.toml").write_text(_SAMCONFIG)
    (folder / "functions" / "requirements.txt").write_text("")
    (folder / "functions" / "environment.py").write_text(_TELL_ENVIRONMENT)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    with stopped_with_the_tests(folder):
        yield folder


def any_alive(home: Path) -> bool:
    recorded = read(home)
    return recorded is not None and any(each.is_alive for each in recorded.processes)


def test_users_aws_settings_do_not_matter_and_what_it_holds_survives_a_restart(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _USERS.items():
        monkeypatch.setenv(name, value)

    first = cloud.up(home, project=project)
    aws.client("s3", first.endpoint_url).put_object(
        Bucket=first.outputs["Bucket"], Key="incoming/dog.jpg", Body=b"bytes"
    )
    aws.client("dynamodb", first.endpoint_url).put_item(
        TableName=first.outputs["Table"], Item={"image": {"S": "dog"}}
    )
    seen = _invoke(first, first.outputs["Function"])

    assert seen["AWS_ENDPOINT_URL"] == first.endpoint_url
    assert seen["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] == first.sagemaker_url
    assert seen["AWS_REGION"] == "us-east-1"
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_DYNAMODB"} & set(seen)
    assert "real" not in seen.values()

    steps: list[str] = []
    assert cloud.up(home, project=project, on_step=steps.append) == first
    assert steps[0] == f"Already running: AWS at {first.endpoint_url}"
    assert steps[1:] == ["Nothing changed since the last deployment"]

    assert cloud.down(home)
    assert not any_alive(home)
    assert not cloud.down(home)
    steps.clear()
    again = cloud.up(home, project=project, on_step=steps.append)

    assert "Deploying the stack" not in steps
    assert again.outputs == first.outputs
    s3 = aws.client("s3", again.endpoint_url)
    found = s3.get_object(Bucket=again.outputs["Bucket"], Key="incoming/dog.jpg")
    assert found["Body"].read() == b"bytes"
    dynamodb = aws.client("dynamodb", again.endpoint_url)
    assert dynamodb.scan(TableName=again.outputs["Table"])["Count"] == 1
    assert _invoke(again, again.outputs["Function"])["AWS_REGION"] == "us-east-1"


def test_failed_deployment_says_why_and_a_changed_template_is_deployed_by_the_next_up(
    home: Path, project: Path
) -> None:
    template = project / "template.yaml"
    good = template.read_text()
    template.write_text(good.replace("AWS::S3::Bucket", "AWS::S3::Buckett"))

    with pytest.raises(LocalCloudError, match=r"(?s)sam deploy failed.*AWS::S3::Buckett"):
        cloud.up(home, project=project)
    assert not any_alive(home)

    template.write_text(good)
    assert cloud.up(home, project=project).outputs["Bucket"]
    template.write_text(good + "  More: {Value: more}\n")
    assert cloud.up(home, project=project).outputs["More"] == "more"


def test_resource_that_failed_is_named_with_its_reason_last(home: Path, project: Path) -> None:
    template = project / "template.yaml"
    taken = "  Twin: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref Bucket}}\nOutputs:"
    template.write_text(template.read_text().replace("Outputs:", taken))

    with pytest.raises(LocalCloudError, match=r"\nTwin: .* already exists[^\n]*$"):
        cloud.up(home, project=project)


def test_failed_build_says_why_and_is_not_taken_for_a_success_later(
    home: Path, project: Path
) -> None:
    requirements = project / "functions" / "requirements.txt"
    requirements.write_text("./no-such-folder\n")

    for _ in range(2):
        with pytest.raises(LocalCloudError, match=r"(?s)sam build failed.*no-such-folder"):
            cloud.up(home, project=project)
    assert not any_alive(home)


def test_ctrl_c_ends_everything_that_was_started(home: Path, project: Path) -> None:
    code = (
        # A shell's background job has SIGINT ignored, and so would all that it starts.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path; from localcloud import cloud;"
        "cloud.up(Path(sys.argv[1]), project=Path(sys.argv[2]),"
        " on_step=lambda step: print(step, flush=True))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(home), str(project)],
        cwd=environments.REPOSITORY,
        env=_import_roots(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("Building"):
            break
    started = read(home)
    assert started is not None
    assert started.is_running

    running.send_signal(signal.SIGINT)

    assert running.wait(timeout=60) != 0
    assert not any_alive(home)


def test_quotas_of_a_new_account_are_switched_on_and_off(home: Path, project: Path) -> None:
    new = cloud.up(home, deploy=False, project=project, strictness=Strictness(new_account=True))
    sagemaker = boto3.client(
        "sagemaker",
        endpoint_url=new.sagemaker_url,
        region_name=new.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    job = job_request("refused", "score")
    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match="is 0 Instances"):
        sagemaker.create_training_job(**job)

    established = cloud.up(home, deploy=False, project=project)

    assert {each.pid for each in established.processes}.isdisjoint(
        each.pid for each in new.processes
    )
    sagemaker.create_training_job(**job)


def test_process_that_died_is_started_again(home: Path, project: Path) -> None:
    first = cloud.up(home, deploy=False, project=project)
    processes.stop(first.processes[0], grace_seconds=0)
    recorded = read(home)
    assert recorded is not None
    assert not recorded.is_running

    second = cloud.up(home, deploy=False, project=project)

    assert second.is_running
    assert second.endpoint_url == first.endpoint_url


def test_clouds_that_start_at_the_same_time_take_different_ports(
    tmp_path: Path, project: Path
) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    with (
        stopped_with_the_tests(homes[0]),
        stopped_with_the_tests(homes[1]),
        ThreadPoolExecutor() as pool,
    ):
        clouds = list(pool.map(lambda home: cloud.up(home, deploy=False, project=project), homes))

        assert all(running.is_running for running in clouds)
        urls = {url for running in clouds for url in (running.endpoint_url, running.sagemaker_url)}
        assert len(urls) == 4


def test_cloud_ends_with_a_test_process_that_is_killed(tmp_path: Path, project: Path) -> None:
    home = tmp_path / "home"
    code = (
        "import sys; from pathlib import Path; from localcloud import cloud;"
        "from tests.clouds import stopped_with_the_tests\n"
        "with stopped_with_the_tests(Path(sys.argv[1])):\n"
        "    cloud.up(Path(sys.argv[1]), deploy=False, project=Path(sys.argv[2]))\n"
        "    print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home), str(project)],
        cwd=environments.REPOSITORY,
        env=_import_roots(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == b"up\n"
        tests.kill()

    deadline = time.monotonic() + 60
    while any_alive(home):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _invoke(running: Cloud, function: str) -> dict[str, Any]:
    answer = aws.client("lambda", running.endpoint_url).invoke(FunctionName=function)
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    return payload


def _import_roots() -> dict[str, str]:
    roots = [str(environments.REPOSITORY), str(environments.REPOSITORY / "functions")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
