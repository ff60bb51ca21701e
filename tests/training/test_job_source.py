"""The sources of a training job run without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from model.package import package_training_source
from tools.sbom import pins


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, unpacked as SageMaker's training toolkit does."""
    folder = tmp_path_factory.mktemp("job")
    with tarfile.open(package_training_source(folder / "sourcedir.tar.gz")) as tar:
        tar.extractall(folder / "code", filter="data")
    return folder / "code"


def run(source: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_entry_point_and_requirements_lie_at_the_top(source: Path) -> None:
    assert {"train.py", "requirements.txt", "REVISION"} <= {path.name for path in source.iterdir()}


def test_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    first = package_training_source(tmp_path / "first.tar.gz").read_bytes()

    assert first == package_training_source(tmp_path / "second.tar.gz").read_bytes()


def test_job_trains_with_the_code_it_was_sent(source: Path, photos: Path, tmp_path: Path) -> None:
    # SageMaker passes hyperparameters like this.
    done = run(
        source,
        *("train.py", "--data", str(photos), "--backbone", "efficientnet_lite0"),
        *("--epochs", "1", "--batch-size", "8", "--class-weights", "True"),
        *("--feature-cache", str(tmp_path / "cache")),
        *("--model-dir", str(tmp_path / "model"), "--output-dir", str(tmp_path / "output")),
    )

    assert done.returncode == 0, done.stderr
    assert "metrics epoch=1" in done.stdout
    assert (tmp_path / "model" / "model.onnx").exists()
    assert (tmp_path / "model" / "model" / "serving" / "classifier.py").exists()
    where = run(
        source,
        "-c",
        "import train, imaging, model, training; "
        "print(*(each.__file__ for each in (imaging, model, training)))",
    )
    assert all(path.startswith(str(source)) for path in where.stdout.split()), where


def test_job_on_a_machine_with_several_gpus_starts_a_process_for_each(source: Path) -> None:
    two_gpus = (
        "import runpy, sys, torch; from torch.distributed import run; "
        "torch.cuda.device_count = lambda: 2; run.main = print; "
        "sys.argv = ['train.py', '--epochs', '1']; runpy.run_path('train.py', run_name='__main__')"
    )
    done = run(source, "-c", two_gpus)

    assert done.returncode == 0, done.stderr
    assert "['--standalone', '--nproc-per-node=gpu', 'train.py', '--epochs', '1']" in done.stdout


def test_requirements_of_a_job_are_those_that_were_tested() -> None:
    repository = Path(__file__).parents[2]
    tested = {
        str(pin.req)
        for name in ("runtime.txt", "train.txt")
        for pin in pins(repository / "requirements" / name)
    }
    needed = (repository / "training" / "job" / "requirements.txt").read_text().splitlines()

    assert {line for line in needed if line and not line.startswith("#")} <= tested
