"""Curves for TensorBoard, and a training that the real client of MLflow follows."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from localcloud.environments import tools
from training.errors import TrainingError
from training.train import train

from .conftest import Configure

ROOT = Path(__file__).parents[2]
MLFLOW = tools() / "mlflow" / "bin" / "python"


def events(folder: Path) -> Iterator[Event]:
    """Reads TensorBoard's file: length, checksum, event, checksum, again and again."""
    (file,) = folder.iterdir()
    content = file.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def test_curves_of_a_run_are_written_for_tensorboard(configure: Configure, tmp_path: Path) -> None:
    settings = configure(epochs=2, tensorboard=tmp_path / "curves")

    train(settings)

    points = {
        (value.tag, event.step): value.simple_value
        for event in events(tmp_path / "curves" / settings.output_dir.name)
        for value in event.summary.value
    }
    history = [
        json.loads(line)
        for line in (settings.output_dir / "metrics.jsonl").read_text().split("\n")
        if line
    ]
    assert len(history) == 2
    for epoch in history:
        for name in ("train_loss", "valid_loss", "valid_top1"):
            tag = name.replace("_", "/")
            assert points[tag, epoch["epoch"]] == pytest.approx(epoch[name])


def test_missing_tensorboardx_is_told_before_the_training(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)

    with pytest.raises(TrainingError, match="pip install tensorboardX"):
        train(configure(tensorboard=tmp_path / "curves"))


def follow(address: str, configure: Configure, folder: Path) -> subprocess.CompletedProcess[str]:
    """Trains under the Python that has MLflow's client; torch is that of ours."""
    assert MLFLOW.exists(), "install it: make .tools/mlflow/.installed"
    settings = configure(epochs=2)
    options = ["data", "feature_cache", "model_dir", "output_dir", "backbone", "epochs"]
    words = [f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in options]
    paths = [ROOT / "functions", ROOT, sysconfig.get_paths()["purelib"]]
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": address,
        # The client calls a folder a store of the past; a database would need all of MLflow.
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    return subprocess.run(
        [MLFLOW, "-m", "training.train", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_real_client_keeps_the_run(configure: Configure, tmp_path: Path) -> None:
    done = follow(f"file://{tmp_path}/store", configure, tmp_path)

    assert done.returncode == 0, done.stderr
    (meta,) = (tmp_path / "store").glob("*/*/meta.yaml")
    run = meta.parent
    assert "status: 3" in meta.read_text()  # FINISHED
    assert (run / "params" / "backbone").read_text() == "efficientnet_lite0"
    assert len((run / "metrics" / "valid_loss").read_text().splitlines()) == 2
    assert (run / "artifacts" / "training.json").is_file()
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    assert card["training_run"]["mlflow_run_id"] == run.name


@pytest.mark.slow
def test_real_client_without_a_server_fails_no_training(
    configure: Configure, tmp_path: Path
) -> None:
    with socket.socket() as held:  # nobody listens there
        held.bind(("127.0.0.1", 0))
        done = follow(f"http://127.0.0.1:{held.getsockname()[1]}", configure, tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("MLflow did not accept this run") == 1
    assert (tmp_path / "model" / "model.onnx").is_file()
    assert "mlflow_run_id" not in (tmp_path / "model" / "model.json").read_text()
