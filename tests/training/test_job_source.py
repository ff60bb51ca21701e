"""The sources of a training job run without the repository."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import torch
from torch.distributed import run as torchrun

from model.package import package_training_source
from tools.sbom import pins

from .conftest import draw_folder
from .copies import below, copied


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, unpacked as SageMaker's training toolkit does."""
    folder = tmp_path_factory.mktemp("job")
    with tarfile.open(package_training_source(folder / "sourcedir.tar.gz")) as tar:
        tar.extractall(folder / "code", filter="data")
    return folder / "code"


def run(source: Path, *arguments: str) -> str:
    """Returns what the job printed, and where its modules were."""
    with copied(below, source, "train.py", arguments) as (job, printed):
        output = printed.read()
        job.join()
    assert job.exitcode == 0, output
    return output


def test_entry_point_and_requirements_lie_at_the_top(source: Path) -> None:
    assert {"train.py", "requirements.txt", "REVISION"} <= {path.name for path in source.iterdir()}


def test_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    first = package_training_source(tmp_path / "first.tar.gz").read_bytes()

    assert first == package_training_source(tmp_path / "second.tar.gz").read_bytes()


def test_job_trains_with_the_code_it_was_sent(source: Path, tmp_path: Path) -> None:
    photos = draw_folder(tmp_path / "photos", 4)
    # SageMaker passes hyperparameters like this.
    printed = run(
        source,
        *("--data", str(photos), "--backbone", "efficientnet_lite0"),
        *("--epochs", "1", "--batch-size", "8", "--class-weights", "True"),
        *("--feature-cache", str(tmp_path / "cache")),
        *("--model-dir", str(tmp_path / "model"), "--output-dir", str(tmp_path / "output")),
    )

    assert "metrics epoch=1" in printed
    assert (tmp_path / "model" / "model.onnx").exists()
    assert (tmp_path / "model" / "model" / "serving" / "classifier.py").exists()
    where = dict(line.split(" is ") for line in printed.splitlines() if " is " in line)
    assert {"archive.card", "imaging.spec", "model.export", "training.train"} <= where.keys()
    assert all(path.startswith(str(source)) for path in where.values()), where


def test_job_on_a_machine_with_several_gpus_starts_a_process_for_each(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torchrun, "main", print)

    printed = run(source, "--epochs", "1")

    assert "['--standalone', '--nproc-per-node=gpu', 'train.py', '--epochs', '1']" in printed


def test_requirements_of_a_job_are_those_that_were_tested() -> None:
    repository = Path(__file__).parents[2]
    tested = {
        str(pin.req)
        for name in ("runtime.txt", "train.txt")
        for pin in pins(repository / "requirements" / name)
    }
    needed = (repository / "training" / "job" / "requirements.txt").read_text().splitlines()

    assert {line for line in needed if line and not line.startswith("#")} <= tested
