"""Copies of photos in folds and in a training's own split: how many pairs are separated.

    .venv/bin/python -m bench.planted_copies --data FOLDER [--copies 80]

Beside some photos a copy is planted: the same bytes, a JPEG of quality 30, half the size as WebP, a
PNG, mirrored, and with 10 % cut off each side, by turns. Of a separated pair one is trained on and
the other judged, which makes the figure too good. Photos that are kept together without a copy
between them are
counted too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from training.data.dataset import DataSet, LabelledImage
from training.data.partition import cross_validation, partition
from training.loop.prepared import prepare
from training.settings import TrainSettings

FOLDS, SEEDS = 4, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=80)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        shutil.copytree(options.data, folder)
        originals = [image.path for image in DataSet.scan(folder).images]
        random.Random(1).shuffle(originals)  # noqa: S311 - repeatable, not secret
        pairs = [(path, copied(path, at)) for at, path in enumerate(originals[: options.copies])]
        settings = TrainSettings(data=folder, backbone="efficientnet_lite0")
        prepared = prepare(settings)
        together = Counter(prepared.first_alike)
        planted = Counter(
            prepared.first_alike[row]
            for row, image in enumerate(prepared.images)
            if image.path.name.startswith("copy-")
        )
        others = [
            prepared.images[first].path.name
            for first, count in together.items()
            if count > 1 + planted[first]
        ]
        for name, known in (("copies unknown", None), ("copies together", prepared.first_alike)):
            in_folds, in_split = torn(prepared.images, known, pairs)
            print(
                f"{name}: of {len(pairs)} pairs torn apart by {FOLDS} folds {in_folds}, by the own "
                f"split {in_split} (seeds 1 to {SEEDS})"
            )
        print(f"other photos together: {len(others)} {others}")


def copied(path: Path, number: int) -> Path:
    """Plants a copy beside a photo; returns its path."""
    kind = number % 6
    suffix = (".jpg", ".jpg", ".webp", ".png", ".jpg", ".jpg")[kind]
    copy = path.with_name(f"copy-{path.stem}{suffix}")
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if kind == 0:
        shutil.copyfile(path, copy)
    elif kind == 1:
        picture.save(copy, quality=30)
    elif kind == 2:
        picture.resize((picture.width // 2, picture.height // 2)).save(copy, quality=60)
    elif kind == 3:
        picture.save(copy)
    elif kind == 4:
        ImageOps.mirror(picture).save(copy, quality=90)
    else:
        ImageOps.crop(picture, round(0.1 * min(picture.size))).save(copy, quality=90)
    return copy


def torn(
    images: Sequence[LabelledImage],
    alike: tuple[int, ...] | None,
    pairs: list[tuple[Path, Path]],
) -> tuple[list[int], list[int]]:
    """The pairs torn apart by folds and by the own split, for each seed."""
    row = {image.path: place for place, image in enumerate(images)}
    places = [(row[one], row[other]) for one, other in pairs]
    in_folds, in_split = [], []
    for seed in range(1, SEEDS + 1):
        splits, _ = cross_validation(images, FOLDS, seed, alike)
        fold = {place: number for number, parts in enumerate(splits) for place in parts.valid}
        in_folds.append(sum(fold[one] != fold[other] for one, other in places))
        valid = set(partition(images, seed, alike).valid)
        in_split.append(sum((one in valid) != (other in valid) for one, other in places))
    return in_folds, in_split


if __name__ == "__main__":
    main()
