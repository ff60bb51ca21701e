"""Trained, proposed, registered, promoted under load, and back: on the deployed template."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive.reading import WEIGHTS_NAME, extract_archive
from imagedrop.predictions import wait_for_rows
from imagedrop.uploads import Sent, Upload
from model.package import DEFAULT_ARCHIVE, package
from tests.integration.conftest import REPOSITORY, Stack

PHOTOS = [
    REPOSITORY / "demo" / "photos" / name for name in ("beagles.jpg", "flower.jpg", "pug.jpg")
]
PATIENCE_SECONDS = 90.0
MARK = "other "  # the beginning of every label of the other model
# A training script that makes the model it is given: what is under test begins after training.
TRAIN = """
import os, tarfile
from pathlib import Path
(archive,) = Path(os.environ["SM_CHANNEL_TRAINING"]).rglob("*.tar.gz")
with tarfile.open(archive) as tar:
    tar.extractall(os.environ["SM_MODEL_DIR"], filter="data")
"""


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Archives of a model with other labels than the default one, prepared in another way."""
    folder = tmp_path_factory.mktemp("other")
    card = extract_archive(DEFAULT_ARCHIVE, folder / "content")
    spec = replace(card.image_spec, resize=card.image_spec.resize + 16)
    labels = tuple(f"{MARK}{label}" for label in card.labels)

    def make(name: str) -> Path:
        changed = replace(
            card, name=name, version="1", labels=labels, image_spec=spec, groups=None, names={}
        )
        return package(folder / "content" / WEIGHTS_NAME, changed, folder / f"{name}.tar.gz")

    return make


def models(stack: Stack) -> dict[str, dict[str, Any]]:
    rows = map(json.loads, stack.command("models", "--format", "jsonl").splitlines())
    return {row["model"]: row for row in rows}


def answering(stack: Stack) -> str:
    (model,) = (name for name, row in models(stack).items() if row["answers"])
    return model


class Load(threading.Thread):
    """Drops a photo every tenth of a second until it is stopped."""

    def __init__(self, stack: Stack, prefix: str) -> None:
        super().__init__(daemon=True)
        self._s3, self._bucket = stack.target.client("s3"), stack.target.images_bucket
        self._prefix, self.sent = prefix, list[Sent]()
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.1):
            path = PHOTOS[len(self.sent) % len(PHOTOS)]
            key = f"{self._prefix}{len(self.sent):04d}.jpg"
            answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=path.read_bytes())
            self.sent.append(Sent(Upload(path, key), version=answer["VersionId"]))


@pytest.mark.usefixtures("default_again")
def test_every_row_names_the_model_that_answered_while_another_is_promoted(
    stack: Stack, other_model: Callable[[str], Path]
) -> None:
    before = answering(stack)
    stack.command("package", other_model("under-load"))
    load = Load(stack, "incoming/promotion/")
    load.start()
    try:
        stack.command("promote", "under-load", "--version", "1", "--bake-seconds", "1")
        assert answering(stack) == "under-load@1"
        stack.command("promote", "--back", "--bake-seconds", "0")
    finally:
        load.enough.set()
        load.join(timeout=30)

    rows = wait_for_rows(
        stack.target, load.sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )

    assert answering(stack) == before
    assert len(rows) == len(load.sent)
    assert {row.model for row in rows.values()} == {before, "under-load@1"}
    for row in rows.values():
        is_others = {each.label.startswith(MARK) for each in row.predictions}
        assert is_others == {row.model == "under-load@1"}


@pytest.mark.usefixtures("default_again")
def test_model_of_a_finished_training_job_waits_for_a_persons_word(
    stack: Stack, other_model: Callable[[str], Path]
) -> None:
    before = answering(stack)
    train(stack, "proposed", other_model("proposed"))

    deadline = time.monotonic() + PATIENCE_SECONDS
    while "proposed@1" not in models(stack):
        assert time.monotonic() < deadline, "nothing was proposed"
        time.sleep(0.5)

    assert models(stack)["proposed@1"]["approval"] == "PendingManualApproval"
    assert answering(stack) == before

    stack.command("promote", "proposed", "--version", "1", "--bake-seconds", "0")

    assert models(stack)["proposed@1"]["approval"] == "Approved"
    assert answering(stack) == "proposed@1"


def train(stack: Stack, name: str, archive: Path) -> None:
    outputs, s3 = stack.target.outputs, stack.target.client("s3")
    bucket = outputs["ModelsBucketName"]
    s3.upload_file(str(archive), bucket, f"training/data/{name}/model.tar.gz")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(TRAIN.encode())
        tar.addfile(member, io.BytesIO(TRAIN.encode()))
    s3.put_object(Bucket=bucket, Key=f"training/sources/{name}.tar.gz", Body=buffer.getvalue())
    stack.target.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=outputs["TrainingRoleArn"],
        AlgorithmSpecification={"TrainingImage": "x/y:1", "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/training/sources/{name}.tar.gz",
        },
        InputDataConfig=[
            {
                "ChannelName": "training",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/training/data/{name}/",
                    }
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/training/jobs"},
        ResourceConfig={
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )


def test_unknown_version_is_refused_with_those_that_there_are(
    stack: Stack, other_model: Callable[[str], Path]
) -> None:
    stack.command("package", other_model("known"))
    said = stack.command("promote", "known", "--version", "9", exit_code=1)
    assert "no known@9" in said
    assert "versions of known: 1" in said


def test_another_archive_of_a_known_version_is_refused(
    stack: Stack, other_model: Callable[[str], Path], tmp_path: Path
) -> None:
    stack.command("package", other_model("twice"))
    content = tmp_path / "content"
    extract_archive(other_model("twice"), content)
    card = json.loads((content / "model.json").read_text())
    (content / "model.json").write_text(json.dumps(card | {"metrics": {"top1": 0.5}}))

    said = stack.command("package", content, exit_code=1)

    assert "already the name of another archive" in said
    stack.command("package", content, "--version", "2")
    assert models(stack)["twice@2"]["top1"] == 0.5
