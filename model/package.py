"""Builds model archives and the sources of training jobs; no other module copies code.

`python -m model.package` packs the default archive's weights with the current serving code;
`python -m model.package --check` reports whether that would change anything (exit code 1 if so).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from archive.card import CARD_NAME, ArchiveError, ModelCard
from archive.reading import WEIGHTS_NAME, extract_archive, sha256_of
from model.reproducible_tar import tar_gz, write_whole
from model.revision import REVISION_NAME, code_revision

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"
# The texts that must travel with a model's weights.
LICENCE_NAMES = ("LICENSE", "NOTICE")
# With it an evaluation finds photos that the model was trained on.
LEARNED_PHOTOS_NAME = "learned_photos.txt"
DEFAULT_LICENCES = tuple(ROOT / "model" / "default" / name for name in LICENCE_NAMES)

# Packages whose every module is served, by their folder in the repository.
_SERVED_PACKAGES = {
    "archive": "functions/archive",
    "imaging": "functions/imaging",
    "model/serving": "model/serving",
}
_SERVED_FILES = {
    "model/__init__.py": "model/__init__.py",
    # AWS's Ray Serve container expects these three names.
    "deployment.py": "model/deployment.py",
    "config.yaml": "model/config.yaml",
    "code/requirements.txt": "model/requirements.txt",
}

# A training job has its code at the repository's paths, and at the top the two files that
# SageMaker's training toolkit expects.
_TRAINING_PACKAGES = {
    folder: folder for folder in ("functions/archive", "functions/imaging", "model", "training")
}
_TRAINING_FILES = {
    "train.py": "training/job/train.py",
    "requirements.txt": "training/job/requirements.txt",
    "model/config.yaml": "model/config.yaml",
    "model/requirements.txt": "model/requirements.txt",
    "model/default/LICENSE": "model/default/LICENSE",
    "training/licences/NOTICE": "training/licences/NOTICE",
}


def package(
    weights: Path, card: ModelCard, destination: Path, licences: Iterable[Path] = ()
) -> Path:
    """Writes the archive of a model with the current serving code.

    The same inputs give the same bytes, on every machine and Python.

    Args:
        weights: an ONNX file; its sha256 must be the card's.
        destination: the archive to write; replaced when it exists.
        licences: files for the top folder of the archive.

    Returns:
        `destination`.

    Raises:
        OSError: a file is missing or cannot be written.
        ArchiveError: the weights are not the card's.
    """
    return write_whole(destination, tar_gz(_archive_content(weights, card, licences)))


def write_content(
    weights: Path, card: ModelCard, destination: Path, licences: Iterable[Path] = ()
) -> Path:
    """Writes the files of an archive into a folder: SageMaker's /opt/ml/model.

    Args:
        destination: created when it does not exist; other files in it stay.

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


def texts_in(folder: Path) -> list[Path]:
    """Returns the files in a model's folder that travel with its weights."""
    names = (*LICENCE_NAMES, LEARNED_PHOTOS_NAME)
    return [folder / name for name in names if (folder / name).is_file()]


def serving_code(root: Path = ROOT) -> dict[str, Path]:
    """Returns the files of the serving code by their names in the archive."""
    return _sources(root, _SERVED_FILES, _SERVED_PACKAGES)


def package_training_source(destination: Path) -> Path:
    """Writes the sources of a training job: `sourcedir.tar.gz`, entry point `train.py`.

    The job trains and exports with exactly this code, serving code included, and records the
    revision that is written into it. The same sources give the same bytes.

    Args:
        destination: the archive to write; replaced when it exists.

    Returns:
        `destination`.

    Raises:
        OSError: a file is missing or cannot be written.
    """
    contents = {name: path.read_bytes() for name, path in training_code().items()}
    contents[REVISION_NAME] = f"{code_revision()}\n".encode()
    return write_whole(destination, tar_gz(dict(sorted(contents.items()))))


def training_code() -> dict[str, Path]:
    """Returns all files that train, export and serve, by their names in a job's sources."""
    return _sources(ROOT, _TRAINING_FILES, _TRAINING_PACKAGES)


def _sources(root: Path, files: Mapping[str, str], packages: Mapping[str, str]) -> dict[str, Path]:
    sources = {name: root / path for name, path in files.items()}
    for package_name, folder in packages.items():
        for module in (root / folder).rglob("*.py"):
            sources[f"{package_name}/{module.relative_to(root / folder).as_posix()}"] = module
    return sources


def _archive_content(weights: Path, card: ModelCard, licences: Iterable[Path]) -> dict[str, bytes]:
    """Returns every file of an archive by its name, in the archive's order."""
    found = sha256_of(weights)
    if found != card.weights_sha256:
        raise ArchiveError(
            f"{weights.name} has sha256 {found}, the card says {card.weights_sha256}"
        )
    contents = {name: path.read_bytes() for name, path in serving_code().items()}
    contents |= {path.name: path.read_bytes() for path in licences}
    head = {
        # First, so that a reader of the card need not pass over the weights.
        CARD_NAME: _card_bytes(card),
        WEIGHTS_NAME: weights.read_bytes(),
    }
    return head | dict(sorted(contents.items()))


def _card_bytes(card: ModelCard) -> bytes:
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def repackaged(archive: Path) -> bytes:
    """Returns the bytes of `archive` with the current serving code.

    Raises:
        OSError: a file is missing.
        ArchiveError: `archive` is not a safe model archive.
    """
    with tempfile.TemporaryDirectory() as temporary:
        content = Path(temporary) / "content"
        card = extract_archive(archive, content)
        return tar_gz(_archive_content(content / WEIGHTS_NAME, card, DEFAULT_LICENCES))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code is 1 when `--check` finds the archive out of date."""
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
