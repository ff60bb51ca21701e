"""A model archive that somebody else made, looked through before anybody serves it.

Nothing of it is unpacked to disk and nothing is executed. `archive.reading` knows the same format
from the side that serves it; functions hold none of that package.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from imaging import ImageSpec

CARD_NAME = "model.json"
WEIGHTS_NAME = "model.onnx"
# What starts an archive: in AWS's Ray Serve container, and everywhere else.
SERVING_CODE = ("config.yaml", "deployment.py", "model/serving/__main__.py")

# ResNet50 in fp32 is 100 MB; what is five times that is not a model of this project.
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 1000
# A card of 1,000 labels is 40 kB; what is larger is no card, and is not read into memory.
MAX_CARD_BYTES = 1024 * 1024
_CHUNK_BYTES = 128 * 1024

_PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt")
# How pickles since protocol 2 begin, and zip files, which torch.save puts a pickle into.
_PICKLE_BEGINNINGS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


class ModelArchiveError(Exception):
    """The file is not what a model archive has to be. The message says why."""


@dataclass(frozen=True, slots=True)
class ModelArchive:
    """What an archive says about itself."""

    path: Path
    sha256: bytes  # of the archive, 32 bytes
    card_json: bytes  # model.json as it lies in the archive
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.card["name"])

    @property
    def version(self) -> str:
        return str(self.card["version"])

    @property
    def identity(self) -> str:
        """`name@version`, as every record names the model that answered."""
        return f"{self.name}@{self.version}"


def check_archive(path: Path) -> ModelArchive:
    """Reads an archive once from end to end.

    Raises:
        ModelArchiveError: it cannot be read, is too large, holds members outside of it, links,
            a name twice or a pickle, lacks its card, weights or serving code, or the weights are
            not the card's.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
        contents = _read(path)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelArchiveError(f"{path.name} cannot be read: {error}") from error
    for name in (CARD_NAME, WEIGHTS_NAME, *SERVING_CODE):
        if name not in contents.names:
            raise ModelArchiveError(f"there is no {name} in the archive")
    card = _checked_card(contents.card_json)
    if card["weights_sha256"] != contents.weights_sha256:
        raise ModelArchiveError(
            f"{WEIGHTS_NAME} has sha256 {contents.weights_sha256}, "
            f"the card says {card['weights_sha256']}"
        )
    return ModelArchive(path, sha256, contents.card_json, card)


@dataclass(slots=True)
class _Contents:
    names: set[str]
    card_json: bytes = b""
    weights_sha256: str = ""


class _BoundedReader:
    """A stream that ends in an error instead of an archive that unpacks without end."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._left = MAX_UNPACKED_BYTES

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise ModelArchiveError(f"more than {MAX_UNPACKED_BYTES} bytes come out of the archive")
        return data


def _read(path: Path) -> _Contents:
    contents = _Contents(set())
    with gzip.open(path) as unzipped:
        # The bound sits below tarfile, which itself reads headers of any announced length.
        bounded = cast(IO[bytes], _BoundedReader(unzipped))
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            for member in tar:
                name = _acceptable_name(member, contents.names)
                if not member.isreg():
                    continue
                contents.names.add(name)
                if name == CARD_NAME:
                    contents.card_json = _card_bytes(tar, member)
                else:
                    digest = _passed_by(tar, member, name)
                    if name == WEIGHTS_NAME:
                        contents.weights_sha256 = digest
    return contents


def _acceptable_name(member: tarfile.TarInfo, seen: set[str]) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise ModelArchiveError(f"{member.name!r} lies outside of the archive")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise ModelArchiveError(f"{member.name!r} is neither a file nor a folder")
    if str(path) in seen:
        raise ModelArchiveError(f"{member.name!r} is there twice")
    if len(seen) >= MAX_MEMBERS:
        raise ModelArchiveError(f"more than {MAX_MEMBERS} files in the archive")
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        raise ModelArchiveError(f"{member.name!r} may be a pickle, which executes when it is read")
    return str(path)


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    while file is not None and (chunk := file.read(_CHUNK_BYTES)):
        yield chunk


def _passed_by(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> str:
    """The sha256 of a member, 64 hex digits; it is never in memory as a whole."""
    digest = hashlib.sha256()
    for place, chunk in enumerate(_chunks(tar, member)):
        if place == 0 and chunk.startswith(_PICKLE_BEGINNINGS):
            raise ModelArchiveError(f"{name!r} begins like a pickle, which executes when read")
        digest.update(chunk)
    return digest.hexdigest()


def _card_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_CARD_BYTES:
        raise ModelArchiveError(f"{CARD_NAME} is no file of at most {MAX_CARD_BYTES} bytes")
    return b"".join(_chunks(tar, member))


def _checked_card(card_json: bytes) -> Mapping[str, Any]:
    try:
        card = json.loads(card_json)
    except (ValueError, RecursionError) as error:
        raise ModelArchiveError(f"{CARD_NAME} is not JSON: {error}") from error
    match card:
        case {
            "name": str(name),
            "version": str(version),
            "labels": list(),
            "image_spec": dict(image_spec),
            "metrics": dict(),
            "training_run": dict(),
            "weights_sha256": str(),
        } if name and version and "@" not in name + version:
            try:
                ImageSpec.from_json(image_spec)
            except ValueError as error:
                raise ModelArchiveError(f"{CARD_NAME}: {error}") from error
            return cast(Mapping[str, Any], card)
        case _:
            raise ModelArchiveError(
                f"{CARD_NAME} lacks a name or a version (without @), labels, image_spec, metrics, "
                "training_run or weights_sha256"
            )
