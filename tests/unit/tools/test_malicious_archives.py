"""An archive cannot write outside its folder, wherever we unpack one.

``test_no_pickle`` finds every place that unpacks without the filter; these are those there are.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.card import ArchiveError
from archive.reading import check_archive, extract_archive
from localcloud.sagemaker.training_data import DataError, fetch_code
from localcloud.sagemaker.training_layout import OptMl

Unpack = Callable[[Path, Path], object]


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MALICIOUS = {
    "a path that climbs": [member("../escaped")],
    "a path that climbs from a folder": [member("code/../../escaped")],
    "a link to the outside": [member("out", tarfile.SYMTYPE, "/etc")],
    "a link that climbs": [member("out", tarfile.SYMTYPE, "../..")],
    "a file through a link": [member("out", tarfile.SYMTYPE, "../.."), member("out/escaped")],
    "a hard link to the outside": [member("out", tarfile.LNKTYPE, "/etc/passwd")],
    "a character device": [member("null", tarfile.CHRTYPE)],
    "a block device": [member("disk", tarfile.BLKTYPE)],
    "a pipe": [member("pipe", tarfile.FIFOTYPE)],
}


class Storage:
    """Hands out one file as whatever is asked for."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive

    def download(self, _bucket: str, _key: str, path: Path) -> None:
        path.write_bytes(self._archive.read_bytes())


def as_model(archive: Path, folder: Path) -> object:
    return extract_archive(archive, folder / "model")


def as_training_code(archive: Path, folder: Path) -> object:
    folders = OptMl(folder)
    folders.code.mkdir(parents=True)
    return fetch_code(Storage(archive), "s3://bucket/sourcedir.tar.gz", folders)  # type: ignore[arg-type]


def as_bundled_model(archive: Path, _folder: Path) -> object:
    return check_archive(archive)


def archive_of(members: list[tarfile.TarInfo], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info in members:
            content = b"forged" if info.isreg() else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("unpack", [as_model, as_training_code, as_bundled_model])
@pytest.mark.parametrize("kind", MALICIOUS)
def test_a_malicious_archive_is_refused_and_writes_nothing_outside(
    tmp_path: Path, kind: str, unpack: Unpack
) -> None:
    inside = tmp_path / "outer" / "inner"
    inside.mkdir(parents=True)
    archive = archive_of(MALICIOUS[kind], tmp_path / "malicious.tar.gz")
    with pytest.raises((ArchiveError, DataError)):
        unpack(archive, inside)
    assert files_outside(inside, tmp_path) == {archive}
    left = [each for each in inside.rglob("*") if each.is_symlink() or not each.exists()]
    assert left == []


@pytest.mark.parametrize("unpack", [as_model, as_training_code])
def test_an_absolute_path_stays_inside_or_is_refused(tmp_path: Path, unpack: Unpack) -> None:
    inside = tmp_path / "outer" / "inner"
    inside.mkdir(parents=True)
    archive = archive_of([member(f"{tmp_path}/escaped")], tmp_path / "malicious.tar.gz")
    with contextlib.suppress(ArchiveError):
        unpack(archive, inside)
    assert files_outside(inside, tmp_path) == {archive}


def files_outside(folder: Path, around: Path) -> set[Path]:
    return {path for path in around.rglob("*") if path.is_file() and folder not in path.parents}
