"""A data set laid out anew in parts, so that no photo is in two of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from training.data_check import DataCheck
from training.dataset import LabelledImage, stratified_split
from training.errors import TrainingError


def parts_of(check: DataCheck, seed: int, shares: Mapping[str, float]) -> dict[LabelledImage, str]:
    """The part of every photo that can be trained on. The shares hold in every class; photos
    that look the same go into one part together.

    Raises:
        ValueError: the shares do not add up to 1.
    """
    leader = {image: image for image in check.images}
    for each in check.alike:
        leader |= dict.fromkeys(each.images, each.images[0])
    leaders = [image for image in check.images if leader[image] is image]
    split = stratified_split(leaders, seed, shares)
    part = {image: str(placed.split) for image, placed in zip(leaders, split, strict=True)}
    return {image: part[leader[image]] for image in check.images}


def lay_out(
    check: DataCheck,
    parts: Mapping[LabelledImage, str],
    destination: Path,
    on_image: Callable[[], None],
) -> None:
    """`destination/PART/CLASS/…` with the photos as hard links, or copies on another disk.

    It is put together beside its place, and is there whole or not at all.

    Raises:
        TrainingError: there is something already.
        OSError: it cannot be written.
    """
    if destination.exists():
        raise TrainingError(f"{destination} is there already.", "Remove it, or give another place.")
    unfinished = destination.with_name(f".{destination.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for image, part in parts.items():
            inside = _within_class(check, image)
            place = unfinished / part / check.data.label(image) / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(image.path, place)
            on_image()
        unfinished.rename(destination)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _within_class(check: DataCheck, image: LabelledImage) -> Path:
    """The path below the class's folder; with the part in front where there was one, because two
    parts may use one name."""
    relative = image.path.relative_to(check.data.folder)
    if image.split is None:
        return Path(*relative.parts[1:])
    return Path(*relative.parts[2:-1], f"{relative.parts[0]}-{relative.name}")


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source.resolve(), place)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, place)
