"""A data set laid out anew in parts, so that no photo is in two of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from training.data.check import DataCheck
from training.data.dataset import DataSet, LabelledImage, stratified_split
from training.errors import TrainingError


def parts_of(check: DataCheck, seed: int, shares: Mapping[str, float]) -> dict[LabelledImage, str]:
    """The part of every photo that can be trained on. The shares hold in every class; photos
    that look the same go into one part together, and count as one.

    Raises:
        TrainingError: there is none.
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


def check_destination(data: DataSet, destination: Path) -> None:
    """
    Raises:
        TrainingError: there is something already, or it would become part of the data set.
    """
    if destination.exists() or destination.is_symlink():
        raise TrainingError(f"{destination} is there already.", "Remove it, or give another place.")
    if destination.resolve().is_relative_to(data.folder.resolve()):
        raise TrainingError(
            f"{destination} lies within {data.folder}, and would count as photos of it.",
            "Give a place outside of it.",
        )


def lay_out(
    check: DataCheck,
    parts: Mapping[LabelledImage, str],
    destination: Path,
    on_image: Callable[[], None],
) -> None:
    """`destination/PART/LABEL/…` with the photos as hard links, or copies on another disk.

    It is put together beside its place, and is there whole or not at all.

    Raises:
        TrainingError: `check_destination`.
        OSError: it cannot be written.
    """
    check_destination(check.data, destination)
    unfinished = destination.with_name(f".{destination.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for image, part in parts.items():
            place = unfinished / part / check.data.label(image) / _within_class(check, image)
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(image.path, place)
            on_image()
        unfinished.rename(destination)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _within_class(check: DataCheck, image: LabelledImage) -> Path:
    """The path below the class's folder; in a folder named as the part it was in, if any, because
    two parts may use one name."""
    parts = image.path.relative_to(check.data.folder).parts
    return Path(*parts[1:]) if image.split is None else Path(parts[0], *parts[2:])


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source.resolve(), place)
    except FileExistsError:  # A.jpg and a.jpg, on a disk to which they are one
        raise
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, place)
