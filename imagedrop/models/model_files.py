"""Makes the archive that `imagedrop package` registers, from a folder or from another archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from archive.card import CARD_NAME, ArchiveError, read_model_card
from archive.reading import WEIGHTS_NAME, ModelArchive, check_archive, extract_archive
from imagedrop.errors import UserError
from model.package import package, texts_in


def make_archive(
    source: Path, destination: Path, name: str | None = None, version: str | None = None
) -> ModelArchive:
    """Writes the archive of a model and checks it.

    An archive that keeps its name and version is copied byte for byte. A folder, and an archive
    that gets another name or version, are packed with today's serving code.

    Args:
        source: a folder with `model.onnx` and `model.json`, or a `model.tar.gz`.

    Raises:
        UserError: it is not a model.
        OSError: the archive cannot be written.
    """
    try:
        if source.is_dir():
            _pack(source, destination, name, version)
        elif name is None and version is None:
            destination.write_bytes(source.read_bytes())
        else:
            with TemporaryDirectory() as temporary:
                content = Path(temporary) / "content"
                extract_archive(source, content)
                _pack(content, destination, name, version)
        return check_archive(destination)
    except (OSError, ArchiveError) as error:
        if isinstance(error, OSError) and not _is_about(error, source):
            raise  # the disk of the archive, not the model
        raise UserError(
            f"{source} is not a model: {error}",
            "Pass the folder that `imagedrop train` wrote (model-output), or a model.tar.gz.",
        ) from error


def _is_about(error: OSError, source: Path) -> bool:
    return error.filename is not None and Path(error.filename).is_relative_to(source)


def _pack(folder: Path, destination: Path, name: str | None, version: str | None) -> None:
    card = read_model_card(folder / CARD_NAME)
    card = replace(card, name=name or card.name, version=version or card.version)
    package(folder / WEIGHTS_NAME, card, destination, texts_in(folder))
