"""`imagedrop jobs` on the local cloud: request, job, the real train.py, artifact, model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from archive.reading import check_archive
from tests.integration.conftest import REPOSITORY, Stack

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
    stack.command(
        *("jobs", "tune", "--data", data, "--backbone", "efficientnet_lite0"),
        *("--trials", "2", "--epochs", "1", "2", "--output-dir", tmp_path, "--wait"),
    )
    tuning = json.loads((tmp_path / "tuning.json").read_text())
    assert [each["status"] for each in tuning["trials"]] == ["complete", "complete"]
    assert set(tuning["best"]) == {"lr", "batch_size", "epochs"}
    request = json.loads(
        stack.command(
            *("jobs", "train", "--data", data, "--dry-run"),
            *("--hyperparameters", tmp_path / "tuning.json"),
        )
    )
    assert float(request["HyperParameters"]["lr"]) == tuning["best"]["lr"]


def test_ctrl_c_without_a_terminal_leaves_the_job_running_until_it_is_stopped(
    stack: Stack, data: str
) -> None:
    waiting = subprocess.Popen(
        [
            *(sys.executable, "-m", "imagedrop", "jobs", "train", "--data", data),
            *("--backbone", "efficientnet_lite0", "--set", "epochs=1000"),
            *("--set", "unfreeze=layer4", "--set", "finetune-epochs=1000"),
            *("--job-name", "endless", "--wait"),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"IMAGEDROP_HOME": str(stack.home)},
        stdin=subprocess.PIPE,  # open as long as it waits: nobody answers, and it is no end
        stderr=subprocess.PIPE,
        text=True,
    )
    sagemaker = stack.target.client("sagemaker")
    deadline = time.monotonic() + PATIENCE_SECONDS
    assert waiting.stderr is not None
    while "Training" not in waiting.stderr.readline():
        assert time.monotonic() < deadline
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=30) == 130
    assert sagemaker.describe_training_job(TrainingJobName="endless")["TrainingJobStatus"] == (
        "InProgress"
    )

    stack.command("jobs", "stop", "endless")

    while sagemaker.describe_training_job(TrainingJobName="endless")["TrainingJobStatus"] != (
        "Stopped"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stack.command("jobs", "status", "endless", exit_code=1)
