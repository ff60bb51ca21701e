"""Lays a data set out in parts, with no photo in two of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from training.data.check import DataCheck
from training.data.dataset import LabelledImage
from training.data.partition import stratified_split
from training.errors import TrainingError


def parts_of(check: DataCheck, seed: int, shares: Mapping[str, float]) -> dict[LabelledImage, str]:
    """Assigns a part to every usable photo, in the given shares of every class.

    Photos that look the same go into the same part and count as one.

    Raises:
        TrainingError: no photo is usable.
        ValueError: the shares do not add up to 1.
    """
    if not check.images:
        raise TrainingError(
            f"No file in {check.data.folder} can be used.",
            "See why with: imagedrop data check FOLDER",
        )
    leader = {image: image for image in check.images}
    for each in check.alike:
        leader |= dict.fromkeys(each.images, each.images[0])
    leaders = [image for image in check.images if leader[image] is image]
    split = stratified_split(leaders, seed, shares)
    part = {image: str(placed.split) for image, placed in zip(leaders, split, strict=True)}
    return {image: part[leader[image]] for image in check.images}


def check_destination(folder: Path, destination: Path) -> None:
    """Checks that a new data set can be written there.

    Raises:
        TrainingError: the destination exists, or is inside the data set.
    """
    if destination.exists() or destination.is_symlink():
        raise TrainingError(f"{destination} exists already.", "Remove it, or give another folder.")
    if destination.resolve().is_relative_to(folder.resolve()):
        raise TrainingError(
            f"{destination} is inside {folder} and would become part of that data set.",
            "Give a folder outside of it.",
        )


def lay_out(
    check: DataCheck,
    parts: Mapping[LabelledImage, str],
    destination: Path,
    on_image: Callable[[], None],
) -> None:
    """Writes `destination/PART/LABEL/…`, with hard links to the photos, or copies on another disk.

    The folder is built under another name and renamed, so it is never incomplete.

    Raises:
        TrainingError: `check_destination`.
        OSError: it cannot be written.
    """
    check_destination(check.data.folder, destination)
    unfinished = destination.with_name(f".{destination.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    made: set[Path] = set()
    try:
        for image, part in parts.items():
            label = unfinished / part / check.data.label(image)
            # A disk that ignores case would put BMW and bmw into one folder: it raises.
            label.mkdir(parents=True, exist_ok=label in made)
            made.add(label)
            place = label / _within_class(check, image)
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(image.path, place)
            on_image()
        unfinished.rename(destination)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _within_class(check: DataCheck, image: LabelledImage) -> Path:
    """The path below the class's folder.

    A photo that had a part keeps its name as a folder: two parts may use the same file name.
    """
    parts = image.path.relative_to(check.data.folder).parts
    return Path(*parts[1:]) if image.split is None else Path(parts[0], *parts[2:])


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source.resolve(), place)
    except FileExistsError:  # A.jpg and a.jpg on a disk that ignores case
        raise
    except OSError:  # another disk, or one without links
        shutil.copy2(source, place)
