"""The real `sagemaker-training` toolkit, which starts train.py in a container, starts it here.

Only the folder differs: `/opt/ml` is below SAGEMAKER_BASE_DIR.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
import torch

from archive.card import read_model_card
from localcloud.environments import tools
from model.package import package_training_source
from tests.metric_lines import read_metric

from .conftest import LABELS

pytestmark = pytest.mark.slow

TOOLKIT = tools() / "sagemaker-training" / "bin" / "train"


def lay_out(opt_ml: Path, photos: Path, hyperparameters: dict[str, object]) -> None:
    """Writes the files that SageMaker puts into a container before it starts."""
    config = opt_ml / "input" / "config"
    config.mkdir(parents=True)
    shutil.copytree(photos, opt_ml / "input" / "data" / "training")
    for folder in ("model", "output/data", "checkpoints"):
        (opt_ml / folder).mkdir(parents=True)
    source = package_training_source(opt_ml / "input" / "sourcedir.tar.gz")
    texts = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": str(source),
        **hyperparameters,
    }
    files = {
        "hyperparameters": {name: json.dumps(value) for name, value in texts.items()},
        "inputdataconfig": {"training": {"TrainingInputMode": "File"}},
        "resourceconfig": {
            "current_host": "localhost",
            "hosts": ["localhost"],
            "network_interface_name": "lo",
        },
    }
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))


def start(opt_ml: Path) -> subprocess.CompletedProcess[str]:
    """`train`, as the container's entry point calls it."""
    assert TOOLKIT.exists(), "install it: make .tools/sagemaker-training/.installed"
    environment = {name: value for name, value in os.environ.items() if name != "SM_MODEL_DIR"}
    environment |= {
        "SAGEMAKER_BASE_DIR": str(opt_ml),
        "XDG_CACHE_HOME": str(opt_ml / "cache"),
        "PATH": f"{TOOLKIT.parent}{os.pathsep}{environment['PATH']}",
        # The toolkit has its own venv; torch, which a container has beside it, is that of ours. The
        # repository is not on this path: the job has the sources it was sent, and no others.
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
    }
    return subprocess.run(
        [TOOLKIT], env=environment, cwd=opt_ml, capture_output=True, text=True, check=False
    )


def test_job_succeeds_and_leaves_what_sagemaker_collects(photos: Path, tmp_path: Path) -> None:
    hyperparameters = {"backbone": "efficientnet_lite0", "epochs": 3, "batch-size": 8, "lr": 0.014}
    lay_out(tmp_path, photos, {**hyperparameters, "class-weights": True, "name": "job"})

    done = start(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    card = read_model_card(tmp_path / "model" / "model.json")
    assert card.labels == LABELS
    assert card.training_run["hyperparameters"]["lr"] == 0.014  # type: ignore[index]
    assert card.training_run["hyperparameters"]["class_weights"] is True  # type: ignore[index]
    assert (tmp_path / "model" / "model.onnx").is_file()
    assert (tmp_path / "output" / "data" / "training.json").is_file()
    assert (
        torch.load(tmp_path / "checkpoints" / "training.pt", weights_only=True)["phase"] == "head"
    )
    assert (tmp_path / "output" / "success").is_file()
    assert not (tmp_path / "output" / "failure").exists()
    lines = [line for line in done.stdout.splitlines() if read_metric(line, "valid_top1")]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        # Nothing is downloaded here: the message says what to do without a network.
        ({"weights": "missing.pth"}, "missing.pth cannot be used as weights"),
        ({"epochs": 0}, "--epochs must be at least 1."),
    ],
)
def test_failed_job_says_why_in_its_failure_file(
    hyperparameters: dict[str, object], reason: str, photos: Path, tmp_path: Path
) -> None:
    lay_out(tmp_path, photos, {"backbone": "efficientnet_lite0", **hyperparameters})

    done = start(tmp_path)

    assert done.returncode == 1
    failure = (tmp_path / "output" / "failure").read_text()
    assert reason in failure
    assert "Traceback" not in failure
    assert not (tmp_path / "model" / "model.json").exists()


def test_bug_is_named_in_the_failure_file_and_traced_in_the_log(
    photos: Path, tmp_path: Path
) -> None:
    lay_out(tmp_path, photos, {"backbone": "efficientnet_lite0", "epochs": 1})
    # Checkpoints cannot be written: an error that the code does not foresee.
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "checkpoints").write_text("a file, not a folder")

    done = start(tmp_path)

    assert done.returncode == 1
    assert (tmp_path / "output" / "failure").read_text().startswith("FileExistsError: ")
    assert "Traceback" in done.stdout + done.stderr
