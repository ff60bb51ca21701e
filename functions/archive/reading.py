"""Reads a model archive that cannot be trusted: checks it in place, or extracts it.

Both read the archive once, as a stream, under the same limits and rules for its members. Nothing
in it is executed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from archive.card import CARD_NAME, MAX_CARD_BYTES, ArchiveError, ModelCard

WEIGHTS_NAME = "model.onnx"
# The files that start the endpoint: in AWS's Ray Serve container, and everywhere else.
SERVING_CODE = ("config.yaml", "deployment.py", "model/serving/__main__.py")

# ResNet50 in fp32 is 100 MB; five times that is not a model of this project.
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 1000
# The longest path of our own archives has 40 characters; file systems stop at 255 bytes a name.
MAX_NAME_BYTES = 255
_CHUNK_BYTES = 128 * 1024

_PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt")
# The first bytes of pickles since protocol 2, and of zip files, in which torch.save puts a pickle.
_PICKLE_BEGINNINGS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@dataclass(frozen=True, slots=True)
class ModelArchive:
    """A checked archive.

    Attributes:
        sha256: of the archive, 32 bytes.
        card_json: the bytes of its ``model.json``.
    """

    path: Path
    sha256: bytes
    card_json: bytes
    card: ModelCard


def check_archive(path: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> ModelArchive:
    """Checks an archive that is about to be served, without unpacking it to disk.

    Args:
        max_bytes: the most that may come out of the archive, headers included.

    Raises:
        ArchiveError: it cannot be read, is too large, has members outside of it, links, a name
            twice or a pickle, lacks its card, weights or serving code, or the weights are not the
            card's.
    """
    contents = _Contents()
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
        with _damage_as_archive_error(path):
            for name, chunks in _files(path, max_bytes):
                contents.add(name, chunks)
    except OSError as error:
        raise ArchiveError(f"{path.name} cannot be read: {error}") from error
    card = contents.checked_card(required=SERVING_CODE)
    return ModelArchive(path, sha256, bytes(contents.card_json), card)


def extract_archive(
    archive: Path, destination: Path, max_bytes: int = MAX_UNPACKED_BYTES
) -> ModelCard:
    """Unpacks an archive into the new folder `destination` and checks its weights.

    `destination` appears only when everything is in order. The archive may lack serving code:
    `model.package` puts today's beside the weights.

    Args:
        max_bytes: the most that may come out of the archive, headers included.

    Raises:
        OSError: the archive cannot be read, or `destination` exists or cannot be written.
        ArchiveError: as `check_archive`, serving code aside.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists")
    destination.parent.mkdir(parents=True, exist_ok=True)
    contents = _Contents()
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".extract-") as temporary:
        folder = Path(temporary) / "content"
        with _damage_as_archive_error(archive):
            for name, chunks in _files(archive, max_bytes):
                contents.add(name, _written(chunks, folder / name))
        card = contents.checked_card()
        folder.rename(destination)
    return card


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(slots=True)
class _Contents:
    """The data that a pass over an archive keeps in memory; never the weights."""

    names: set[str] = field(default_factory=set)
    card_json: bytearray = field(default_factory=bytearray)
    weights_sha256: str = ""

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        digest = hashlib.sha256()
        for position, chunk in enumerate(chunks):
            if position == 0 and chunk.startswith(_PICKLE_BEGINNINGS):
                raise ArchiveError(f"{name!r} begins like a pickle, which executes when it is read")
            digest.update(chunk)
            if name == CARD_NAME:
                self.card_json += chunk
                if len(self.card_json) > MAX_CARD_BYTES:
                    raise ArchiveError(f"{CARD_NAME} is larger than {MAX_CARD_BYTES} bytes")
        self.names.add(name)
        if name == WEIGHTS_NAME:
            self.weights_sha256 = digest.hexdigest()

    def checked_card(self, required: Iterable[str] = ()) -> ModelCard:
        for name in (CARD_NAME, WEIGHTS_NAME, *required):
            if name not in self.names:
                raise ArchiveError(f"there is no {name} in the archive")
        card = ModelCard.from_bytes(bytes(self.card_json))
        if card.weights_sha256 != self.weights_sha256:
            raise ArchiveError(
                f"{WEIGHTS_NAME} has sha256 {self.weights_sha256}, "
                f"the card says {card.weights_sha256}"
            )
        return card


def _files(archive: Path, max_bytes: int) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yields the name and content of each file; read the content before the next file."""
    # The bound is below tarfile because tarfile itself reads headers of any announced length.
    with gzip.open(archive) as unzipped:
        bounded = cast(IO[bytes], _BoundedReader(unzipped, max_bytes))
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            rules = _MemberRules()
            for member in tar:
                name = rules.checked_name(member)
                if member.isreg():
                    yield name, _chunks(tar, member)
        while bounded.read(_CHUNK_BYTES):
            pass  # to the end, where gzip compares the CRC


class _BoundedReader:
    """A stream that ends in an error instead of filling the disk or the memory."""

    def __init__(self, file: io.BufferedIOBase, max_bytes: int) -> None:
        self._file = file
        self._left = max_bytes
        self._max_bytes = max_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError(f"more than {self._max_bytes} bytes come out of the archive")
        return data


class _MemberRules:
    """Which members an archive may have, one after the other."""

    def __init__(self) -> None:
        self._count = 0
        self._files: set[str] = set()
        self._folders = {"."}

    def checked_name(self, member: tarfile.TarInfo) -> str:
        """Returns the member's path relative to the archive, without a leading `./`."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise ArchiveError(f"more than {MAX_MEMBERS} files in the archive")
        if not member.name.isprintable() or len(member.name.encode()) > MAX_NAME_BYTES:
            raise ArchiveError(f"{member.name[:80]!r} is not a file name, or too long for one")
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise ArchiveError(f"{member.name!r} is outside of the archive")
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise ArchiveError(f"{member.name!r} is neither a file nor a folder")
        if path.suffix.lower() in _PICKLE_SUFFIXES:
            raise ArchiveError(f"{member.name!r} may be a pickle, which executes when it is read")
        self._take(path, is_file=member.isreg())
        return str(path)

    def _take(self, path: PurePosixPath, *, is_file: bool) -> None:
        parents = {str(parent) for parent in path.parents}
        taken = self._files | self._folders if is_file else self._files
        if str(path) in taken or parents & self._files:
            raise ArchiveError(f"{str(path)!r} is there twice, or a file and a folder at once")
        self._folders |= parents
        (self._files if is_file else self._folders).add(str(path))


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    while file is not None and (chunk := file.read(_CHUNK_BYTES)):
        yield chunk


def _written(chunks: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """Passes the chunks on and writes them to a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)
            yield chunk


@contextmanager
def _damage_as_archive_error(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ArchiveError(f"{archive.name} cannot be read: not a tar.gz ({error})") from error
