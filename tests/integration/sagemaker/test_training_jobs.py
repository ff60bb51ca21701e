"""Training jobs as boto3 and the bucket see them; their programs need no torch."""

from __future__ import annotations

import io
import json
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.stand_in import ROLE, StandIn, is_alive, until
from training.tracking.metric_lines import metric_definitions

WRITE_MODEL = """
import json, os, sys
from pathlib import Path
seen = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
seen["files"] = sorted(str(p.relative_to(p.parents[2])) for p in
    Path(os.environ["SM_CHANNEL_TRAINING"]).rglob("*") if p.is_file())
seen["config"] = {p.stem: json.loads(p.read_text())
    for p in Path(os.environ["SM_INPUT_CONFIG_DIR"]).glob("*.json")}
Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(seen))
Path(os.environ["SM_OUTPUT_DATA_DIR"], "training.json").write_text("{}")
print("metrics epoch=1 train_loss=1.5 valid_top1=0.25 seconds=0.10")
print("metrics epoch=2 train_loss=0.5 valid_top1=0.75 seconds=0.10")
"""
FAIL = """
import os, sys
from pathlib import Path
Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("There is no data to train on.")
sys.exit(1)
"""
# Waits until it is told to end, in the folder that is its hyperparameter, and says how it went.
WAIT = """
import os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--folder") + 1])
model = Path(os.environ["SM_MODEL_DIR"], "half.txt")
checkpoint = Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "epoch.txt"
def end(number, frame):
    model.write_text("half")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
before = checkpoint.read_text() if checkpoint.exists() else "nothing"
checkpoint.write_text("epoch 1")
print(f"went on from {before}")
(folder / f"pid-{os.getpid()}").touch()
while not (folder / "go").exists():
    time.sleep(0.05)
"""
PROGRAMS = {"write-model": WRITE_MODEL, "fail": FAIL, "wait": WAIT, "crash": "1 / 0\n"}


def sources(program: str) -> bytes:
    """`sourcedir.tar.gz` whose entry point is `program`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        content = program.encode()
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _stored(s3: FakeS3) -> None:
    for name, program in PROGRAMS.items():
        s3.objects[f"train/sources/{name}.tar.gz"] = sources(program)
    for name in ("beagle/a.jpg", "beagle/b.jpg", "pug/c.jpg"):
        s3.objects[f"train/data/{name}"] = b"pixels"
    s3.objects["train/database/not-of-this-channel.jpg"] = b"pixels"


def job_request(name: str, program: str, **changes: Any) -> dict[str, Any]:
    told = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": json.dumps(f"s3://train/sources/{program}.tar.gz"),
        **changes.pop("hyperparameters", {}),
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": changes.pop("data", "s3://train/data/")}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "HyperParameters": told,
        "AlgorithmSpecification": {
            "TrainingImage": "x/y:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions(),
        },
        "InputDataConfig": [
            {"ChannelName": "training", "DataSource": {"S3DataSource": source}},
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://train/jobs"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 30,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }


def ended(stand_in: StandIn, name: str) -> dict[str, Any]:
    def described() -> dict[str, Any] | None:
        job: dict[str, Any] = stand_in.sagemaker.describe_training_job(TrainingJobName=name)
        return None if job["TrainingJobStatus"] in ("InProgress", "Stopping") else job

    result: dict[str, Any] = until(described, 30)
    return result


def run(stand_in: StandIn, request: dict[str, Any]) -> dict[str, Any]:
    stand_in.sagemaker.create_training_job(**request)
    return ended(stand_in, request["TrainingJobName"])


def unpacked(s3: FakeS3, job: str, archive: str = "model") -> dict[str, bytes]:
    content = s3.objects[f"train/jobs/{job}/output/{archive}.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {each.name: tar.extractfile(each) for each in tar.getmembers()}
        return {name: file.read() for name, file in files.items() if file}


def waiting(folder: Path, count: int = 1) -> list[int]:
    """The process ids of programs that wait in the folder."""
    found: list[int] = until(
        lambda: (
            ids
            if len(ids := [int(path.name[4:]) for path in folder.glob("pid-*")]) >= count
            else None
        )
    )
    return found


def test_job_runs_in_the_layout_of_a_container_and_leaves_its_model(
    shared: StandIn, s3: FakeS3
) -> None:
    job = run(
        shared,
        job_request(
            "whole",
            "write-model",
            hyperparameters={"epochs": "3", "name": '"007"', "amp": "true", "plain": "text"},
            Environment={"MINE": "yes"},
        ),
    )

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert job["ModelArtifacts"] == {
        "S3ModelArtifacts": "s3://train/jobs/whole/output/model.tar.gz"
    }
    seen = json.loads(unpacked(s3, "whole")["seen.json"])
    assert " ".join(seen["arguments"]) == "--amp True --epochs 3 --name 007 --plain text"
    assert seen["files"] == [
        "training/beagle/a.jpg",
        "training/beagle/b.jpg",
        "training/pug/c.jpg",
    ]
    told = seen["environment"]
    assert told["SM_HPS"] == '{"amp":true,"epochs":3,"name":"007","plain":"text"}'
    assert told["SM_HP_EPOCHS"] == "3"
    assert told["SM_CHANNELS"] == '["training"]'
    assert told["SM_CURRENT_HOST"] == "algo-1"
    assert told["TRAINING_JOB_NAME"] == "whole"
    assert told["MINE"] == "yes"
    assert not [name for name in told if name.startswith("AWS_") and name != "AWS_REGION"]
    assert seen["config"]["resourceconfig"]["hosts"] == ["algo-1"]
    assert seen["config"]["hyperparameters"]["epochs"] == "3"
    assert list(unpacked(s3, "whole", "output")) == ["training.json"]
    assert not list((shared.state_dir / "training").iterdir())


def test_metrics_are_the_last_that_the_requests_regexes_find(shared: StandIn) -> None:
    job = run(shared, job_request("measured", "write-model"))

    found = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
    assert found == {"train_loss": 0.5, "valid_top1": 0.75, "seconds": 0.1}


def test_status_tells_the_steps_and_the_billed_time(shared: StandIn) -> None:
    job = run(shared, job_request("steps", "write-model"))

    steps = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in each for each in job["SecondaryStatusTransitions"])
    assert 1 <= job["BillableTimeInSeconds"] <= 30


def test_lines_are_in_the_log_file_and_in_cloudwatch(shared: StandIn, s3: FakeS3) -> None:
    run(shared, job_request("logged", "write-model"))

    file = shared.state_dir / "logs" / "TrainingJobs" / "logged.log"
    (stream,) = [name for name in s3.logs if name.startswith("logged/algo-1-")]
    assert file.read_text().splitlines() == s3.logs[stream]
    assert len(s3.logs[stream]) == 2


def test_job_goes_on_without_cloudwatch(shared: StandIn, s3: FakeS3) -> None:
    s3.failing.add("logs")
    try:
        job = run(shared, job_request("unlogged", "write-model"))
    finally:
        s3.failing.remove("logs")

    assert job["TrainingJobStatus"] == "Completed"
    assert (shared.state_dir / "logs" / "TrainingJobs" / "unlogged.log").read_text()


def test_failure_file_is_the_failure_reason(shared: StandIn, s3: FakeS3) -> None:
    job = run(shared, job_request("fails", "fail"))

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == ("AlgorithmError: There is no data to train on., exit code: 1")
    assert "train/jobs/fails/output/model.tar.gz" not in s3.objects


def test_crash_is_traced_in_the_log(shared: StandIn) -> None:
    job = run(shared, job_request("crashes-here", "crash"))

    assert "exit code: 1" in job["FailureReason"]
    log = (shared.state_dir / "logs" / "TrainingJobs" / "crashes-here.log").read_text()
    assert "ZeroDivisionError" in log


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": "s3://train/nothing/"}, "No S3 objects found"),
        (
            {"hyperparameters": {"sagemaker_submit_directory": '"s3://train/sources/none.tar.gz"'}},
            "cannot get the code",
        ),
    ],
)
def test_missing_data_or_code_is_told(
    shared: StandIn, changes: dict[str, Any], reason: str
) -> None:
    name = reason.replace(" ", "-")
    job = run(shared, job_request(name, "write-model", **changes))

    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_code_may_come_as_a_channel(shared: StandIn, s3: FakeS3) -> None:
    request = job_request(
        "closed",
        "write-model",
        hyperparameters={
            "sagemaker_submit_directory": '"/opt/ml/input/data/code/write-model.tar.gz"'
        },
    )
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://train/sources/write-model.tar.gz"}
    request["InputDataConfig"].append(
        {"ChannelName": "code", "DataSource": {"S3DataSource": source}}
    )

    assert run(shared, request)["TrainingJobStatus"] == "Completed"


def test_stopped_job_keeps_what_it_has_made(shared: StandIn, s3: FakeS3, tmp_path: Path) -> None:
    request = job_request("stopped", "wait", hyperparameters={"folder": str(tmp_path)})
    shared.sagemaker.create_training_job(**request)
    (process_id,) = waiting(tmp_path)

    shared.sagemaker.stop_training_job(TrainingJobName="stopped")
    job = ended(shared, "stopped")

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert unpacked(s3, "stopped") == {"half.txt": b"half"}
    assert not is_alive(process_id)
    with pytest.raises(ClientError, match="in status Stopped"):
        shared.sagemaker.stop_training_job(TrainingJobName="stopped")


def test_job_is_stopped_at_its_maximum_runtime(shared: StandIn, s3: FakeS3, tmp_path: Path) -> None:
    job = run(
        shared,
        job_request(
            "overlong",
            "wait",
            hyperparameters={"folder": str(tmp_path)},
            StoppingCondition={"MaxRuntimeInSeconds": 1},
        ),
    )

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_job_under_way_goes_on_from_its_checkpoint_after_a_restart(
    stand_in: StandIn, s3: FakeS3, tmp_path: Path, how: signal.Signals
) -> None:
    folder = f"train/checkpoints/{how.name}/"
    request = job_request(
        "again",
        "wait",
        hyperparameters={"folder": str(tmp_path)},
        CheckpointConfig={"S3Uri": f"s3://{folder}"},
    )
    stand_in.sagemaker.create_training_job(**request)
    (process_id,) = waiting(tmp_path)
    until(lambda: f"{folder}epoch.txt" in s3.objects)

    stand_in.end(how)
    until(lambda: not is_alive(process_id))
    stand_in.start()
    waiting(tmp_path, count=2)
    (tmp_path / "go").touch()

    assert ended(stand_in, "again")["TrainingJobStatus"] == "Completed"
    log = (stand_in.state_dir / "logs" / "TrainingJobs" / "again.log").read_text()
    assert "went on from nothing" in log
    assert "went on from epoch 1" in log


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {
                "ResourceConfig": {
                    "InstanceType": "ml.m5.xlarge",
                    "InstanceCount": 2,
                    "VolumeSizeInGB": 1,
                }
            },
            "Not emulated.*several machines",
        ),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        ({"HyperParameters": {}}, "Not emulated.*sagemaker_program"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "Pipe"}},
            "Not emulated.*Pipe",
        ),
    ],
)
def test_what_does_not_run_here_is_refused(
    shared: StandIn, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ClientError, match=problem):
        shared.sagemaker.create_training_job(**job_request("refused", "wait", **changes))


def test_names_are_unique_and_an_unknown_job_is_not_found(shared: StandIn) -> None:
    run(shared, job_request("unique", "write-model"))

    with pytest.raises(ClientError, match="already exists"):
        shared.sagemaker.create_training_job(**job_request("unique", "write-model"))
    with pytest.raises(ClientError, match="Requested resource not found"):
        shared.sagemaker.describe_training_job(TrainingJobName="nobody")
