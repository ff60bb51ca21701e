"""What is looked at before an archive that somebody else made is served."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from archive.card import ArchiveError, ModelCard
from archive.reading import MAX_MEMBERS, check_archive
from tests.model_archives import card, write_archive


def test_an_archive_is_known_by_the_hash_of_its_bytes(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "model.tar.gz")
    archive = check_archive(path)
    assert archive.card.identity == "dogs@7"
    assert archive.sha256 == hashlib.sha256(path.read_bytes()).digest()
    assert json.loads(archive.card_json) == archive.card.to_json() == card()


def test_the_card_of_these_tests_is_one_that_is_served() -> None:
    assert ModelCard.from_json(card()).identity == "dogs@7"


def test_names_with_a_leading_dot_and_folders_are_those_of_training_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with tarfile.open(write_archive(tmp_path / "plain.tar.gz")) as plain:
        plain.extractall(folder, filter="data")
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=".")
    assert check_archive(path).card.identity == "dogs@7"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.pkl", b""),
        ("code/model.PTH", b""),
        ("innocent.dat", pickle.dumps({"a": 1})),
        ("innocent.dat", pickle.dumps({"a": 1}, protocol=2)),
        ("torch.dat", zipped()),
    ],
)
def test_a_pickle_is_refused_by_name_and_by_beginning(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = write_archive(tmp_path / "model.tar.gz", more={name: content})
    with pytest.raises(ArchiveError, match="pickle"):
        check_archive(path)


@pytest.mark.parametrize(
    "missing", ["model.json", "model.onnx", "config.yaml", "deployment.py", "model/serving"]
)
def test_nothing_that_serving_needs_may_be_missing(tmp_path: Path, missing: str) -> None:
    missing = "model/serving/__main__.py" if missing == "model/serving" else missing
    path = write_archive(tmp_path / "model.tar.gz", leave_out=(missing,))
    with pytest.raises(ArchiveError, match=f"there is no {missing}"):
        check_archive(path)


def test_weights_must_be_those_of_the_card(tmp_path: Path) -> None:
    card_json = json.dumps(card(b"other weights")).encode()
    path = write_archive(tmp_path / "model.tar.gz", card_json)
    with pytest.raises(ArchiveError, match="the card says"):
        check_archive(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "dogs@home"},
        {"version": 7},
        {"labels": None},
        {"image_spec": {"size": 224}},
        {"metrics": []},
        {"training_run": None},
        {"weights_sha256": None},
    ],
)
def test_a_card_lacks_nothing(tmp_path: Path, fields: dict[str, Any]) -> None:
    card_json = json.dumps(card(**fields)).encode()
    path = write_archive(tmp_path / "model.tar.gz", card_json)
    with pytest.raises(ArchiveError, match=r"model\.json"):
        check_archive(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.py", "a/../../b", "a\\b"])
def test_members_outside_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "model.tar.gz", more={name: b""})
    with pytest.raises(ArchiveError, match="outside"):
        check_archive(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("model.onnx")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ArchiveError, match="neither a file nor a folder"):
        check_archive(path)


def test_a_name_is_there_once(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "model.tar.gz", more={"./model.onnx": b"other"})
    with pytest.raises(ArchiveError, match="twice"):
        check_archive(path)


def test_an_archive_that_unpacks_without_end_is_left(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    with gzip.open(path, "wb") as file:
        info = tarfile.TarInfo("model.onnx")
        info.size = 100_000_000
        file.write(info.tobuf())
        file.write(bytes(2_000_000))
    with pytest.raises(ArchiveError, match="come out of the archive"):
        check_archive(path, max_bytes=1_000_000)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    many = {f"code/{number}.py": b"" for number in range(MAX_MEMBERS)}
    path = write_archive(tmp_path / "model.tar.gz", more=many)
    with pytest.raises(ArchiveError, match="more than"):
        check_archive(path)


def test_checking_holds_no_weights_in_memory(tmp_path: Path) -> None:
    weights = bytes(16 * 1024 * 1024)
    path = write_archive(tmp_path / "model.tar.gz", weights=weights)
    tracemalloc.start()
    try:
        check_archive(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(weights) / 8
