"""Wheels → one image layer: a tar file, compressed, with the same bytes for the same wheels."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import py_compile
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

# 1980-01-01T00:00:00Z, the oldest time that a wheel can hold.
MODIFIED_SECONDS = 315_532_800
# The level at which onnxruntime and numpy are 1 % larger than at 9, in half of the time.
COMPRESSION_LEVEL = 6
CHUNK_BYTES = 1024 * 1024
# A name that starts with this removes the file of the layers below (OCI image specification).
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

# Files for a library's own developers, and tools that need packages the image lacks.
_LEFT_OUT = re.compile(
    r"(^|/)(tests?|testing/_private)/|\.(pyi|pxd|h|c|f90|a|lib)$|"
    r"^onnxruntime/(tools|transformers|quantization)/|^numpy/(f2py|distutils|_pyinstaller)/"
)


class LayerError(Exception):
    """A wheel cannot become a part of the image; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer on disk.

    Attributes:
        digest: sha256 of the file, as the registry addresses it.
        diff_id: sha256 of the tar file inside, as the image's configuration lists it.
    """

    path: Path
    digest: str
    diff_id: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the layer."""

    name: str
    content: bytes
    mode: int = 0o644


def write_layer(
    wheels: Sequence[Path], site_packages: str, programs: Mapping[str, bytes], destination: Path
) -> Layer:
    """Writes the layer: wheels unpacked and compiled, programs added, pip removed.

    Nothing is installed by pip: a wheel is a zip file of what belongs into site-packages
    (PEP 427). Byte code is compiled here, because the image's root is read-only where it runs; the
    files do not depend on times (PEP 552, unchecked hash).

    Args:
        wheels: the wheel files.
        site_packages: folder of the packages in the image, such as
            `usr/local/lib/python3.13/site-packages`.
        programs: content of executable files by their path in the image.
        destination: the file to write.

    Raises:
        LayerError: a wheel is damaged or has a name that leaves its folder.
        OSError: a file cannot be read or written.
    """
    entries = [*_removals(site_packages)]
    entries += [Entry(name, content, 0o755) for name, content in sorted(programs.items())]
    for wheel in sorted(wheels, key=lambda path: path.name):
        entries += _unpacked(wheel, site_packages)
    return _write(sorted(entries, key=lambda entry: entry.name), site_packages, destination)


def _removals(site_packages: str) -> Iterator[Entry]:
    """Empty marks that hide pip, its wheel, and its programs."""
    library = str(PurePosixPath(site_packages).parent)
    yield Entry(f"{site_packages}/{OPAQUE}", b"")
    yield Entry(f"{library}/{WHITEOUT}ensurepip", b"")
    version = library.rpartition("python")[2]
    for name in ("pip", "pip3", f"pip{version}", "idle", "idle3", f"idle{version}"):
        yield Entry(f"usr/local/bin/{WHITEOUT}{name}", b"")


def _unpacked(wheel: Path, site_packages: str) -> list[Entry]:
    entries: list[Entry] = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                name = _installed_name(member.filename)
                if name is None or member.is_dir() or _LEFT_OUT.search(name):
                    continue
                content = archive.read(member)
                entries.append(Entry(f"{site_packages}/{name}", content))
                if name.endswith(".py"):
                    entries.append(_compiled(f"{site_packages}/{name}", content))
    except zipfile.BadZipFile as error:
        raise LayerError(f"{wheel.name} is damaged: {error}") from error
    return entries


def _installed_name(name: str) -> str | None:
    """Returns the name below site-packages, or None for files that do not go there.

    Raises:
        LayerError: the name leaves its folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise LayerError(f"A wheel holds the name {name!r}.")
    if not path.parts[0].endswith(".data"):
        return str(path)
    # Scripts and data of a wheel; the serving code starts no program of a package.
    is_library = path.parts[1:2] in (("purelib",), ("platlib",))
    return str(PurePosixPath(*path.parts[2:])) if is_library else None


def _compiled(name: str, source: bytes) -> Entry:
    """Returns the byte code of a module, with the path in the image for tracebacks.

    Raises:
        LayerError: the source does not compile with this Python.
    """
    with tempfile.TemporaryDirectory() as folder:
        file, compiled = Path(folder, "module.py"), Path(folder, "module.pyc")
        file.write_bytes(source)
        try:
            py_compile.compile(
                str(file),
                cfile=str(compiled),
                dfile=f"/{name}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            raise LayerError(f"{name} does not compile: {error}") from error
        return Entry(importlib.util.cache_from_source(name), compiled.read_bytes())


def _write(entries: Sequence[Entry], site_packages: str, destination: Path) -> Layer:
    plain = hashlib.sha256()
    compressed = hashlib.sha256()
    with destination.open("wb") as file:
        target = _Hashed(file, compressed)
        # No name and no time in the header: they would change the digest.
        with (
            gzip.GzipFile("", "wb", COMPRESSION_LEVEL, target, mtime=0) as zipped,
            tarfile.open(fileobj=_Hashed(zipped, plain), mode="w|") as tar,
        ):
            _add(tar, entries, site_packages)
    return Layer(
        destination,
        f"sha256:{compressed.hexdigest()}",
        f"sha256:{plain.hexdigest()}",
        destination.stat().st_size,
    )


def _add(tar: tarfile.TarFile, entries: Sequence[Entry], site_packages: str) -> None:
    folders = {
        str(parent)
        for entry in entries
        for parent in PurePosixPath(entry.name).parents
        # The base has the folders above; naming them again would change their modes.
        if str(parent).startswith(f"{site_packages}/")
    }
    members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    for folder in folders:
        members[folder] = (_member(folder, 0o755, tarfile.DIRTYPE), b"")
    for entry in entries:
        members[entry.name] = (_member(entry.name, entry.mode, tarfile.REGTYPE), entry.content)
    for _, (member, content) in sorted(members.items()):
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def _member(name: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, MODIFIED_SECONDS
    return member


class _Hashed(io.RawIOBase):
    """Hashes everything that is written through it."""

    def __init__(self, target: IO[bytes] | gzip.GzipFile, hasher: hashlib._Hash) -> None:
        self._target = target
        self._hasher = hasher

    def writable(self) -> bool:
        return True

    def write(self, content: Buffer) -> int:
        self._hasher.update(content)
        return self._target.write(content)
