"""Copies of photos in folds and in a training's own split: how many pairs are torn apart.

    .venv/bin/python -m bench.planted_copies --data FOLDER [--copies 80]

Beside some photos a copy is planted: the same bytes, a JPEG of quality 30, half the size as WebP,
and a PNG by turns. A pair that is torn apart is learnt from and judged by: the figure is too good.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from training.data.dataset import DataSet
from training.data.looks import first_alike, looks_of
from training.data.partition import cross_validation, partition

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
        data = DataSet.scan(folder)
        by_path = data.digests
        digests = [by_path[image.path] for image in data.images]
        alike = first_alike(digests, looks_of(data.images, digests, Path(temporary)))
        for name, known in (("copies unknown", None), ("copies together", alike)):
            in_folds, in_split = torn(data, known, pairs)
            print(
                f"{name}: of {len(pairs)} pairs torn apart by {FOLDS} folds {in_folds}, by the own "
                f"split {in_split} (seeds 1 to {SEEDS})"
            )


def copied(path: Path, number: int) -> Path:
    """Plants a copy beside a photo; returns its path."""
    kind = number % 4
    copy = path.with_name(f"copy-{path.stem}{('.jpg', '.jpg', '.webp', '.png')[kind]}")
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if kind == 0:
        shutil.copyfile(path, copy)
    elif kind == 1:
        picture.save(copy, quality=30)
    elif kind == 2:
        picture.resize((picture.width // 2, picture.height // 2)).save(copy, quality=60)
    else:
        picture.save(copy)
    return copy


def torn(
    data: DataSet, alike: tuple[int, ...] | None, pairs: list[tuple[Path, Path]]
) -> tuple[list[int], list[int]]:
    """The pairs torn apart by folds and by the own split, for each seed."""
    row = {image.path: place for place, image in enumerate(data.images)}
    places = [(row[one], row[other]) for one, other in pairs]
    in_folds, in_split = [], []
    for seed in range(1, SEEDS + 1):
        splits, _ = cross_validation(data.images, FOLDS, seed, alike)
        fold = {place: number for number, parts in enumerate(splits) for place in parts.valid}
        in_folds.append(sum(fold[one] != fold[other] for one, other in places))
        valid = set(partition(data.images, seed, alike).valid)
        in_split.append(sum((one in valid) != (other in valid) for one, other in places))
    return in_folds, in_split


if __name__ == "__main__":
    main()
