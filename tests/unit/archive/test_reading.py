"""Reading an archive from anywhere does no harm, whether it is checked in place or extracted."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive.card import ArchiveError, ModelCard
from archive.reading import MAX_MEMBERS, SERVING_CODE, check_archive, extract_archive
from tests.model_archives import WEIGHTS, card, write_archive

Read = Callable[..., object]


def check(path: Path, **limits: int) -> object:
    return check_archive(path, **limits)


def extract(path: Path, **limits: int) -> object:
    """Extracts; what is refused leaves nothing behind."""
    there = path.parent / "there"
    try:
        return extract_archive(path, there / "model", **limits)
    except ArchiveError:
        assert list(there.iterdir()) == []
        raise


@pytest.fixture(params=[check, extract])
def read(request: pytest.FixtureRequest) -> Read:
    """Both ways to read an archive, under the same rules."""
    function: Read = request.param
    return function


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.tar.gz"


def write_members(path: Path, *members: tarfile.TarInfo) -> Path:
    """Appends members to a good archive."""
    content = gzip.decompress(write_archive(path).read_bytes())
    buffer = io.BytesIO(content)
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for member in members:
            tar.addfile(member)
    path.write_bytes(gzip.compress(buffer.getvalue(), 1))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    return buffer.getvalue()


def test_a_checked_archive_is_known_by_the_hash_of_its_bytes(path: Path) -> None:
    write_archive(path)
    archive = check_archive(path)
    assert archive.card.identity == "dogs@7"
    assert archive.sha256 == hashlib.sha256(path.read_bytes()).digest()
    assert json.loads(archive.card_json) == archive.card.to_json() == card()


def test_an_extracted_archive_is_a_folder_of_its_files(path: Path) -> None:
    write_archive(path, more={"model/serving/app.py": b"# code\n"})
    read = extract_archive(path, path.parent / "there")
    assert read == ModelCard.from_json(card())
    assert (path.parent / "there" / "model.onnx").read_bytes() == WEIGHTS
    assert (path.parent / "there" / "model" / "serving" / "app.py").read_bytes() == b"# code\n"
    assert (path.parent / "there" / "config.yaml").read_bytes() == b""


def test_names_with_a_leading_dot_and_folders_are_those_of_training_jobs(
    path: Path, read: Read, tmp_path: Path
) -> None:
    extract_archive(write_archive(tmp_path / "plain.tar.gz"), tmp_path / "model")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "model", arcname=".")
    assert read(path)
    assert check_archive(path).card.identity == "dogs@7"
    extract_archive(path, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "model") != {}


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
def test_a_pickle_is_refused_by_name_and_by_its_first_bytes(
    path: Path, read: Read, name: str, content: bytes
) -> None:
    write_archive(path, more={name: content})
    with pytest.raises(ArchiveError, match="pickle"):
        read(path)


@pytest.mark.parametrize("missing", ["model.json", "model.onnx"])
def test_an_archive_without_card_or_weights_is_refused(
    path: Path, read: Read, missing: str
) -> None:
    write_archive(path, leave_out=(missing,))
    with pytest.raises(ArchiveError, match=f"there is no {missing}"):
        read(path)


@pytest.mark.parametrize("missing", SERVING_CODE)
def test_an_archive_that_is_about_to_be_served_has_its_serving_code(
    path: Path, missing: str
) -> None:
    write_archive(path, leave_out=(missing,))
    with pytest.raises(ArchiveError, match=f"there is no {missing}"):
        check_archive(path)


def test_weights_must_be_those_of_the_card(path: Path, read: Read) -> None:
    write_archive(path, json.dumps(card(b"other weights")).encode())
    with pytest.raises(ArchiveError, match=r"has sha256 .*, the card says"):
        read(path)


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
def test_a_malformed_card_is_refused(path: Path, read: Read, fields: dict[str, Any]) -> None:
    write_archive(path, json.dumps(card(**fields)).encode())
    with pytest.raises(ArchiveError, match=r"model\.json"):
        read(path)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../evil", "model/../../evil", "a\\b", "..\\evil", "C:\\evil"]
)
def test_a_path_that_leaves_the_folder_is_refused(path: Path, read: Read, name: str) -> None:
    write_archive(path, more={name: b"evil"})
    with pytest.raises(ArchiveError, match="outside"):
        read(path)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "model.json"),
        (tarfile.LNKTYPE, "model.json"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(path: Path, read: Read, kind: bytes, target: str) -> None:
    odd = tarfile.TarInfo("odd")
    odd.type, odd.linkname = kind, target
    write_members(path, odd)
    with pytest.raises(ArchiveError, match="neither a file nor a folder"):
        read(path)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("./model.onnx", "twice"),
        ("model/serving", "a file and a folder at once"),
        ("model.json/code.py", "a file and a folder at once"),
        (".", "a file and a folder at once"),
        ("n" * 256, "not a file name"),
        ("line\nbreak", "not a file name"),
        ("\udcff", "not a file name"),
    ],
)
def test_a_name_that_is_taken_or_cannot_be_a_file_is_refused(
    path: Path, read: Read, name: str, complaint: str
) -> None:
    write_archive(path, more={name: b"other"})
    with pytest.raises(ArchiveError, match=complaint):
        read(path)


def test_too_many_members_are_refused(path: Path, read: Read) -> None:
    write_archive(path, more={f"code/{number}.py": b"" for number in range(MAX_MEMBERS)})
    with pytest.raises(ArchiveError, match=f"more than {MAX_MEMBERS} files"):
        read(path)


def test_more_bytes_than_allowed_are_refused(path: Path, read: Read) -> None:
    write_archive(path)
    with pytest.raises(ArchiveError, match="more than 1000 bytes"):
        read(path, max_bytes=1000)


def test_an_archive_that_unpacks_without_end_is_left(path: Path, read: Read) -> None:
    with gzip.open(path, "wb") as file:
        info = tarfile.TarInfo("model.onnx")
        info.size = 100_000_000
        file.write(info.tobuf())
        file.write(bytes(2_000_000))
    with pytest.raises(ArchiveError, match="come out of the archive"):
        read(path, max_bytes=1_000_000)


def test_a_giant_header_is_refused_before_it_fills_the_memory(path: Path, read: Read) -> None:
    # tarfile reads the body of a pax header in one piece, however long it says it is.
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 64 * 1024 * 1024
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.write(b"\0" * header.size)
    assert peak_bytes(lambda: refused(read, path, "more than 1000000 bytes")) < 16 * 1024 * 1024


def test_reading_holds_no_weights_in_memory(path: Path, read: Read) -> None:
    weights = bytes(16 * 1024 * 1024)
    write_archive(path, weights=weights)
    assert peak_bytes(lambda: read(path)) < len(weights) / 8


def refused(read: Read, path: Path, complaint: str) -> None:
    with pytest.raises(ArchiveError, match=complaint):
        read(path, max_bytes=1_000_000)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"not a gzip file", gzip.compress(b"not a tar" * 999)],
    ids=["empty", "text", "gzip of no tar"],
)
def test_a_file_that_is_not_a_tar_gz_is_refused(path: Path, read: Read, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"not a tar\.gz"):
        read(path)


@pytest.mark.parametrize("lost_bytes", [1, 200, 20_000])
def test_a_truncated_archive_is_refused(path: Path, read: Read, lost_bytes: int) -> None:
    write_archive(path, weights=bytes(100_000))
    path.write_bytes(path.read_bytes()[:-lost_bytes])
    with pytest.raises(ArchiveError, match=r"not a tar\.gz"):
        read(path)


def test_an_archive_with_a_changed_byte_of_code_is_refused(path: Path, read: Read) -> None:
    write_archive(path, more={"model/serving/app.py": b"is_safe = True\n"})
    path.write_bytes(path.read_bytes().replace(b"is_safe", b"is_sane"))
    with pytest.raises(ArchiveError, match="CRC"):
        read(path)


def test_a_folder_that_exists_is_left_alone(path: Path) -> None:
    there = path.parent / "there"
    there.mkdir()
    (there / "mine").write_text("mine")

    with pytest.raises(FileExistsError):
        extract_archive(write_archive(path), there)

    assert [each.name for each in there.iterdir()] == ["mine"]
