"""An archive is the same bytes everywhere, and has all that an endpoint imports."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from archive.card import CARD_NAME, ArchiveError, ModelCard
from archive.reading import WEIGHTS_NAME, extract_archive
from model.package import package, serving_code


def test_packaged_model_comes_out_as_it_went_in(
    card: ModelCard, weights: Path, tmp_path: Path
) -> None:
    archive = package(weights, card, tmp_path / "model.tar.gz")

    assert extract_archive(archive, tmp_path / "there") == card
    assert (tmp_path / "there" / WEIGHTS_NAME).read_bytes() == weights.read_bytes()


def test_same_inputs_give_the_same_bytes(card: ModelCard, weights: Path, tmp_path: Path) -> None:
    first = package(weights, card, tmp_path / "first.tar.gz").read_bytes()
    os.utime(weights, (0, 0))
    weights.chmod(0o600)

    second = package(weights, card, tmp_path / "elsewhere" / "second.tar.gz").read_bytes()

    assert first == second


def test_archive_says_nothing_of_the_machine_that_made_it(
    card: ModelCard, weights: Path, tmp_path: Path
) -> None:
    archive = package(weights, card, tmp_path / "model.tar.gz")

    with tarfile.open(archive) as tar:
        owners = {(info.uid, info.gid, info.uname, info.gname) for info in tar}
        times = {info.mtime for info in tar.getmembers()}
    assert owners == {(0, 0, "", "")}
    assert len(times) == 1


def test_card_and_weights_come_first(card: ModelCard, weights: Path, tmp_path: Path) -> None:
    archive = package(weights, card, tmp_path / "model.tar.gz")

    with tarfile.open(archive) as tar:
        assert tar.getnames()[:2] == [CARD_NAME, WEIGHTS_NAME]


def test_archive_is_not_compressed_so_that_git_stores_differences(
    card: ModelCard, weights: Path, tmp_path: Path
) -> None:
    archive = package(weights, card, tmp_path / "model.tar.gz")

    assert weights.read_bytes() in archive.read_bytes()
    assert gzip.decompress(archive.read_bytes()).startswith(CARD_NAME.encode())


def test_archive_longer_than_one_stored_block_is_read_by_gzip(
    card: ModelCard, tmp_path: Path
) -> None:
    weights = tmp_path / "large.onnx"
    weights.write_bytes(os.urandom(3 * 65_535))
    from_large = dataclasses.replace(card, weights_sha256=_sha256(weights))

    archive = package(weights, from_large, tmp_path / "model.tar.gz")

    assert extract_archive(archive, tmp_path / "there") == from_large


def test_weights_of_another_card_are_not_packaged(
    card: ModelCard, weights: Path, tmp_path: Path
) -> None:
    other = dataclasses.replace(card, weights_sha256="0" * 64)

    with pytest.raises(ArchiveError, match="sha256"):
        package(weights, other, tmp_path / "model.tar.gz")

    assert not (tmp_path / "model.tar.gz").exists()


def test_licences_lie_on_top(card: ModelCard, weights: Path, tmp_path: Path) -> None:
    notice = tmp_path / "NOTICE"
    notice.write_text("licence text")

    archive = package(weights, card, tmp_path / "model.tar.gz", [notice])

    extract_archive(archive, tmp_path / "there")
    assert (tmp_path / "there" / "NOTICE").read_text() == "licence text"


def test_archive_holds_the_serving_code_and_nothing_of_training_or_building() -> None:
    names = set(serving_code())

    assert {
        "deployment.py",
        "config.yaml",
        "code/requirements.txt",
        "imaging/__init__.py",
        "imaging/spec.py",
        "model/__init__.py",
        "archive/reading.py",
        "model/serving/__main__.py",
        "model/serving/app.py",
    } <= names
    inside_model = {name for name in names if name.startswith("model/")}
    assert {name for name in inside_model if not name.startswith("model/serving/")} == {
        "model/__init__.py",
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_serving_code_imports_without_the_repository(
    card: ModelCard, weights: Path, tmp_path: Path
) -> None:
    archive = package(weights, card, tmp_path / "model.tar.gz")
    content = tmp_path / "there"
    extract_archive(archive, content)
    script = (
        "import model.serving.app, model.serving.__main__, imaging, sys;"
        "print(*{m.__file__ for n, m in sys.modules.items()"
        " if n.split('.')[0] in ('model', 'imaging')}, sep='\\n')"
    )

    run = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=content,
        env={"PYTHONPATH": str(content)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert all(Path(file).is_relative_to(content) for file in run.stdout.split())
    assert run.stdout.split()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
