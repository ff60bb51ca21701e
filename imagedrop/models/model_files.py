"""Makes the archive that `imagedrop package` registers, from a folder or from another archive."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from archive.card import CARD_NAME, ArchiveError, read_model_card
from archive.reading import WEIGHTS_NAME, ModelArchive, check_archive, extract_archive
from archive.uncertainty import Groups, group_of_label
from imagedrop.errors import UserError
from model.package import package, texts_in

# As the default model's; docs/decisions/model.md has its errors with it.
SURE_OF_GROUP = 0.9
MAX_GROUPS_BYTES = 1024 * 1024


def make_archive(
    source: Path,
    destination: Path,
    name: str | None = None,
    version: str | None = None,
    groups: Path | None = None,
) -> ModelArchive:
    """Writes the archive of a model and checks it.

    An archive that keeps its name and version is copied byte for byte. A folder, and an archive
    that gets another name or version or groups, are packed with today's serving code.

    Args:
        source: a folder with `model.onnx` and `model.json`, or a `model.tar.gz`.
        groups: a JSON file, label → group.

    Raises:
        UserError: it is not a model, or the groups are not those of its labels.
        OSError: the archive cannot be written.
    """
    try:
        if source.is_dir():
            _pack(source, destination, name, version, groups)
        elif name is None and version is None and groups is None:
            destination.write_bytes(source.read_bytes())
        else:
            with TemporaryDirectory() as temporary:
                content = Path(temporary) / "content"
                extract_archive(source, content)
                _pack(content, destination, name, version, groups)
        return check_archive(destination)
    except (OSError, ArchiveError) as error:
        if isinstance(error, OSError) and not _is_about(error, source):
            raise  # the disk of the archive, not the model
        raise UserError(
            f"{source} is not a model: {error}",
            "Pass the folder runs/NAME-TIME/model that `imagedrop train` wrote, or a model.tar.gz.",
        ) from error


def _is_about(error: OSError, source: Path) -> bool:
    return error.filename is not None and Path(error.filename).is_relative_to(source)


def _pack(
    folder: Path, destination: Path, name: str | None, version: str | None, groups: Path | None
) -> None:
    card = read_model_card(folder / CARD_NAME)
    card = replace(card, name=name or card.name, version=version or card.version)
    if groups is not None:
        card = replace(card, groups=_read_groups(groups, card.labels))
    package(folder / WEIGHTS_NAME, card, destination, texts_in(folder))


def _read_groups(file: Path, labels: tuple[str, ...]) -> Groups:
    try:
        with file.open("rb") as opened:
            value = json.loads(opened.read(MAX_GROUPS_BYTES))
        if not isinstance(value, dict) or not value:
            raise ValueError("it is not an object of labels and groups")
        return Groups(SURE_OF_GROUP, group_of_label(value, labels))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{file} does not give the groups: {error}.",
            'Write it as JSON, one group for each label: {"beagle": "hounds", "pug": "toys"}',
        ) from error
