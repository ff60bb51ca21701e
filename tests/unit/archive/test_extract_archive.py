"""Opening an archive from anywhere does no harm."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import pickle
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.card import CARD_NAME, ArchiveError, ModelCard
from archive.reading import MAX_MEMBERS, WEIGHTS_NAME
from archive.reading import extract_archive as extract

WEIGHTS = b"other weights of no model" * 1000

Members = list[tuple[tarfile.TarInfo, bytes]]
WriteArchive = Callable[[Members], Path]


def member(name: str, content: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def good_members(card: ModelCard) -> Members:
    return [
        member(CARD_NAME, json.dumps(card.to_json()).encode()),
        member(WEIGHTS_NAME, WEIGHTS),
        member("model/serving/app.py", b"# code\n"),
    ]


@pytest.fixture
def card(card: ModelCard) -> ModelCard:
    return dataclasses.replace(card, weights_sha256=hashlib.sha256(WEIGHTS).hexdigest())


@pytest.fixture
def write_archive(tmp_path: Path) -> WriteArchive:
    def write(members: Members) -> Path:
        path = tmp_path / "model.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for info, content in members:
                tar.addfile(info, io.BytesIO(content))
        return path

    return write


def assert_refused(archive: Path, complaint: str, tmp_path: Path) -> None:
    destination = tmp_path / "there" / "model"

    with pytest.raises(ArchiveError, match=complaint):
        extract(archive, destination)

    assert list(destination.parent.iterdir()) == []


def test_archive_of_another_tool_is_extracted(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    folders = [tarfile.TarInfo("."), tarfile.TarInfo("./model")]
    for folder in folders:
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    dotted = [(info, content) for info, content in good_members(card)]
    for info, _ in dotted:
        info.name = f"./{info.name}"
    archive = write_archive([(folder, b"") for folder in folders] + dotted)

    assert extract(archive, tmp_path / "there") == card
    assert (tmp_path / "there" / WEIGHTS_NAME).read_bytes() == WEIGHTS
    assert (tmp_path / "there" / "model" / "serving" / "app.py").is_file()


@pytest.mark.parametrize(
    "name", ["../evil", "model/../../evil", "/etc/evil", "..\\evil", "C:\\evil"]
)
def test_path_that_leaves_the_folder_is_refused(
    name: str, card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive([*good_members(card), member(name, b"evil")])

    assert_refused(archive, "outside", tmp_path)


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
def test_what_is_neither_file_nor_folder_is_refused(
    kind: bytes, target: str, card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive([*good_members(card), link("odd", target, kind)])

    assert_refused(archive, "neither a file nor a folder", tmp_path)


def test_second_file_of_the_same_name_is_refused(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive([*good_members(card), member(f"./{WEIGHTS_NAME}", b"other weights")])

    assert_refused(archive, "twice", tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.pkl", b""),
        ("code/model.PTH", b""),
        ("innocent.dat", pickle.dumps({"a": 1})),
        ("torch.dat", b"PK\x03\x04"),
    ],
)
def test_a_pickle_is_refused_by_name_and_by_its_first_bytes(
    name: str, content: bytes, card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive([*good_members(card), member(name, content)])

    assert_refused(archive, "pickle", tmp_path)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("model/serving", "a file and a folder at once"),
        ("model.json/code.py", "a file and a folder at once"),
        (".", "a file and a folder at once"),
        ("n" * 256, "not a file name"),
        ("line\nbreak", "not a file name"),
        ("\udcff", "not a file name"),
    ],
)
def test_a_name_that_a_file_system_cannot_hold_is_refused(
    name: str, complaint: str, card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive([*good_members(card), member(name, b"odd")])

    assert_refused(archive, complaint, tmp_path)


def test_too_many_files_are_refused(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    many = [member(f"{index}.py") for index in range(MAX_MEMBERS)]

    assert_refused(write_archive(good_members(card) + many), f"{MAX_MEMBERS} files", tmp_path)


def test_more_bytes_than_allowed_are_refused(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive(good_members(card))

    with pytest.raises(ArchiveError, match="more than 10000 bytes"):
        extract(archive, tmp_path / "there", max_bytes=10_000)

    assert not (tmp_path / "there").exists()


def test_giant_header_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    # tarfile reads the body of a pax header in one piece, however long it says it is.
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, 64 * 1024 * 1024
    archive = tmp_path / "model.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.write(b"\0" * header.size)
    tracemalloc.start()

    with pytest.raises(ArchiveError, match="more than 1000000 bytes"):
        extract(archive, tmp_path / "there", max_bytes=1_000_000)

    assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    tracemalloc.stop()


def test_weights_that_are_not_the_card_s_are_refused(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    other = dataclasses.replace(card, weights_sha256="0" * 64)

    assert_refused(write_archive(good_members(other)), "sha256", tmp_path)


@pytest.mark.parametrize("missing", [CARD_NAME, WEIGHTS_NAME])
def test_archive_without_card_or_weights_is_refused(
    missing: str, card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    rest = [entry for entry in good_members(card) if entry[0].name != missing]

    assert_refused(write_archive(rest), f"no {missing}", tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a gzip file", gzip.compress(b"not a tar" * 999)])
def test_what_is_no_tar_gz_is_refused(content: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(content)

    assert_refused(archive, "not a tar.gz", tmp_path)


def test_truncated_archive_is_refused(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    archive = write_archive(good_members(card))
    archive.write_bytes(archive.read_bytes()[:-200])

    assert_refused(archive, "not a tar.gz", tmp_path)


def test_folder_that_is_there_is_left_alone(
    card: ModelCard, write_archive: WriteArchive, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "mine").write_text("mine")

    with pytest.raises(FileExistsError):
        extract(write_archive(good_members(card)), there)

    assert [path.name for path in there.iterdir()] == ["mine"]
