"""Puts a model archive, or a training job's sources, together; only here is code copied.

`python -m model.package` puts today's serving code beside the default archive's weights;
`python -m model.package --check` says whether that would change anything (exit code 1 if so).
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from archive.card import CARD_NAME, ArchiveError, ModelCard
from archive.reading import WEIGHTS_NAME, extract_archive, sha256_of
from model.revision import REVISION_NAME, code_revision

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"
DEFAULT_LICENCES = (ROOT / "model" / "default" / "NOTICE", ROOT / "model" / "default" / "LICENSE")

# Packages whose every module is served, by their folder in the repository.
_PACKAGES = {
    "archive": "functions/archive",
    "imaging": "functions/imaging",
    "model/serving": "model/serving",
}
_FILES = {
    "model/__init__.py": "model/__init__.py",
    # Where AWS's Ray Serve container looks for them.
    "deployment.py": "model/deployment.py",
    "config.yaml": "model/config.yaml",
    "code/requirements.txt": "model/requirements.txt",
}

# What a training job needs, at the repository's own paths, and its two files that SageMaker's
# training toolkit looks for at the top.
_TRAINING_FOLDERS = ("functions/archive", "functions/imaging", "model", "training")
_TRAINING_FILES = {
    "train.py": "training/job/train.py",
    "requirements.txt": "training/job/requirements.txt",
    "model/config.yaml": "model/config.yaml",
    "model/requirements.txt": "model/requirements.txt",
    "model/default/LICENSE": "model/default/LICENSE",
    "training/licences/NOTICE": "training/licences/NOTICE",
}

# 1980-01-01T00:00:00Z: the same bytes whenever it is built, and old enough for no tool to warn.
_MODIFIED_SECONDS = 315_532_800
# RFC 1951, 3.2.4: a stored block has a length of 16 bits.
_STORED_BLOCK_BYTES = 65_535


def package(
    weights: Path, card: ModelCard, destination: Path, licences: Sequence[Path] = ()
) -> Path:
    """Writes the archive of a model with today's serving code.

    The same inputs give the same bytes, on every machine and Python.

    Args:
        weights: an ONNX file; its sha256 must be the card's.
        destination: the archive to write; replaced when it is there.
        licences: files for the top folder of the archive.

    Returns:
        `destination`.

    Raises:
        OSError: a file is missing or cannot be written.
        ArchiveError: the weights are not the card's.
    """
    return _write_whole(destination, _archive_bytes(weights, card, licences))


def write_content(
    weights: Path, card: ModelCard, destination: Path, licences: Sequence[Path] = ()
) -> Path:
    """Writes what `package` puts into an archive as files of a folder: SageMaker's /opt/ml/model.

    Args:
        destination: made when it is not there; other files in it stay.

    Returns:
        `destination`.

    Raises:
        OSError: a file is missing or cannot be written.
        ArchiveError: the weights are not the card's.
    """
    for name, content in _archive_content(weights, card, licences).items():
        file = destination / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return destination


def serving_code(root: Path = ROOT) -> dict[str, Path]:
    """Names in the archive and the files that go there: all that answers, and nothing else."""
    sources = {name: root / path for name, path in _FILES.items()}
    for package_name, folder in _PACKAGES.items():
        for module in (root / folder).rglob("*.py"):
            sources[f"{package_name}/{module.relative_to(root / folder).as_posix()}"] = module
    return sources


def package_training_source(destination: Path) -> Path:
    """Writes the sources of a training job: `sourcedir.tar.gz`, entry point `train.py`.

    The job trains and exports with exactly this code, serving code included, and says so by the
    revision that is written into it. The same sources give the same bytes.

    Args:
        destination: the archive to write; replaced when it is there.

    Returns:
        `destination`.

    Raises:
        OSError: a file is missing or cannot be written.
    """
    contents = {name: path.read_bytes() for name, path in training_code().items()}
    contents[REVISION_NAME] = f"{code_revision()}\n".encode()
    return _write_whole(destination, _stored_gzip(_tar(dict(sorted(contents.items())))))


def training_code(root: Path = ROOT) -> dict[str, Path]:
    """Names in a job's sources and the files that go there: all that trains, exports and serves."""
    sources = {name: root / path for name, path in _TRAINING_FILES.items()}
    for folder in _TRAINING_FOLDERS:
        for module in (root / folder).rglob("*.py"):
            sources[module.relative_to(root).as_posix()] = module
    return sources


def _write_whole(destination: Path, content: bytes) -> Path:
    """Writes the file so that it is never there in part."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    unfinished = destination.with_name(destination.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(destination)
    return destination


def _archive_bytes(weights: Path, card: ModelCard, licences: Sequence[Path]) -> bytes:
    return _stored_gzip(_tar(_archive_content(weights, card, licences)))


def _archive_content(weights: Path, card: ModelCard, licences: Sequence[Path]) -> dict[str, bytes]:
    """Every file of an archive by its name, in the archive's order."""
    found = sha256_of(weights)
    if found != card.weights_sha256:
        raise ArchiveError(
            f"{weights.name} has sha256 {found}, the card says {card.weights_sha256}"
        )
    contents = {name: path.read_bytes() for name, path in serving_code().items()}
    contents |= {path.name: path.read_bytes() for path in licences}
    head = {
        # First, so that a reader of the card does not have to pass the weights.
        CARD_NAME: _card_bytes(card),
        WEIGHTS_NAME: weights.read_bytes(),
    }
    return head | dict(sorted(contents.items()))


def _card_bytes(card: ModelCard) -> bytes:
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _tar(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            member.mtime = _MODIFIED_SECONDS
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _stored_gzip(content: bytes) -> bytes:
    """A gzip file (RFC 1952) without compression.

    Weights hardly compress, and git stores two versions of an uncompressed archive as one and a
    small difference. Written here because zlib and zlib-ng cut stored blocks differently.
    """
    header = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"".join([header, *_stored_blocks(content), trailer])


def _stored_blocks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _STORED_BLOCK_BYTES):
        block = content[start : start + _STORED_BLOCK_BYTES]
        is_last = start + _STORED_BLOCK_BYTES >= len(content)
        yield struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF)
        yield block


def repackaged(archive: Path, licences: Sequence[Path] = DEFAULT_LICENCES) -> bytes:
    """What `archive` would be with today's serving code.

    Raises:
        OSError: a file is missing.
        ArchiveError: `archive` is not one that may be opened.
    """
    with tempfile.TemporaryDirectory() as temporary:
        content = Path(temporary) / "content"
        card = extract_archive(archive, content)
        return _archive_bytes(content / WEIGHTS_NAME, card, licences)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code is 1 when `--check` finds the archive out of date."""
    parser = argparse.ArgumentParser(
        prog="python -m model.package",
        description="Puts today's serving code beside the default archive's weights.",
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 when out of date"
    )
    check = parser.parse_args(arguments).check
    today = repackaged(DEFAULT_ARCHIVE)
    name = DEFAULT_ARCHIVE.relative_to(ROOT)
    if today == DEFAULT_ARCHIVE.read_bytes():
        print(f"{name} is up to date")
        return 0
    if check:
        print(f"{name} is out of date: run `python -m model.package`", file=sys.stderr)
        return 1
    DEFAULT_ARCHIVE.write_bytes(today)
    print(f"{name} repackaged, {len(today):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
