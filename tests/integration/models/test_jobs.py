"""`imagedrop jobs` on the local cloud: request, job, the real train.py, artifact, model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from PIL import Image, ImageDraw

from archive.reading import check_archive
from tests.integration.conftest import REPOSITORY, Stack
from tests.processes import running

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
PATIENCE_SECONDS = 120.0
QUICKLY = ("--backbone", "efficientnet_lite0", "--set", "epochs=2")


@pytest.fixture(scope="module")
def data(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Six patterns of two colours, in the models bucket."""
    folder = tmp_path_factory.mktemp("patterns")
    bucket = stack.target.outputs["ModelsBucketName"]
    for name, colour in COLOURS.items():
        for number in range(6):
            image = Image.new("RGB", (64, 64), colour)
            ImageDraw.Draw(image).line((0, 8 * number, 64, 64), fill="white", width=number + 1)
            path = folder / f"{name}-{number}.png"
            image.save(path)
            key = f"training/data/patterns/{name}/{path.name}"
            stack.target.client("s3").upload_file(str(path), bucket, key)
    return f"s3://{bucket}/training/data/patterns/"


def test_training_job_ends_as_an_archive_that_can_be_registered(
    stack: Stack, data: str, tmp_path: Path
) -> None:
    said = stack.command_said(
        "jobs", "train", "--data", data, *QUICKLY, "--set", "name=patterns", "--wait"
    )
    assert "metrics epoch=2" in said
    address = next(line.split()[-1] for line in said.splitlines() if line.startswith("model "))
    bucket, _, key = address.removeprefix("s3://").partition("/")
    stack.target.client("s3").download_file(bucket, key, str(tmp_path / "model.tar.gz"))

    archive = check_archive(tmp_path / "model.tar.gz")

    assert (archive.card.name, archive.card.labels) == ("patterns", ("blue", "red"))
    registered = stack.command("package", address, "--version", "packaged")
    assert "model-package/patterns/" in registered


def test_tuning_job_ends_as_hyperparameters_to_train_with(
    stack: Stack, data: str, tmp_path: Path
) -> None:
    said = stack.command_said(
        *("jobs", "tune", "--data", data, "--backbone", "efficientnet_lite0"),
        *("--trials", "2", "--epochs", "1", "2", "--output-dir", tmp_path, "--wait"),
        *("--job-name", "searched"),
    )
    assert said.index("the features of 12 photos are kept") < said.index("Started: searched\n")
    assert "model " not in said
    lines = stack.command("jobs", "logs", "searched")
    assert lines.count("12 images of 2 classes") == 2
    assert lines.count("features of 0 photos computed, 12 were in") == 2
    tuning = json.loads((tmp_path / "tuning.json").read_text())
    assert [each["status"] for each in tuning["trials"]] == ["complete", "complete"]
    assert set(tuning["best"]) == {"lr", "batch_size", "epochs"}
    request = json.loads(
        stack.command(
            *("jobs", "train", "--data", data, "--dry-run", "--backbone", "efficientnet_lite0"),
            *("--hyperparameters", tmp_path / "tuning.json"),
        )
    )
    assert float(request["HyperParameters"]["lr"]) == tuning["best"]["lr"]


@pytest.fixture
def endless(stack: Stack) -> Iterator[str]:
    """The name of a job that would train for hours; it ends with the test."""
    name, sagemaker = "endless", stack.target.client("sagemaker")
    yield name
    with suppress(ClientError):  # it was never created, or has ended
        sagemaker.stop_training_job(TrainingJobName=name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while status_of(stack, name) in ("InProgress", "Stopping"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def status_of(stack: Stack, name: str) -> str | None:
    """A training job's status; None when there is no such job."""
    try:
        job = stack.target.client("sagemaker").describe_training_job(TrainingJobName=name)
    except ClientError:
        return None
    return job["TrainingJobStatus"]


def test_ctrl_c_without_a_terminal_leaves_the_job_running_until_it_is_stopped(
    stack: Stack, data: str, endless: str
) -> None:
    command = [
        *(sys.executable, "-m", "imagedrop", "jobs", "train", "--data", data),
        *("--backbone", "efficientnet_lite0", "--set", "epochs=1000"),
        *("--set", "unfreeze=layer4", "--set", "finetune-epochs=1000"),
        *("--job-name", endless, "--wait"),
    ]
    deadline = time.monotonic() + PATIENCE_SECONDS
    with running(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"IMAGEDROP_HOME": str(stack.home)},
        stdin=subprocess.PIPE,  # stays open and silent: the question gets no answer
        stderr=subprocess.PIPE,
    ) as waiting:
        assert waiting.stderr is not None
        while "Training" not in waiting.stderr.readline():
            assert time.monotonic() < deadline
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=30) == 130
    assert status_of(stack, endless) == "InProgress"

    stack.command("jobs", "stop", endless)

    while status_of(stack, endless) != "Stopped":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stack.command("jobs", "status", endless, exit_code=1)
