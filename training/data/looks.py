"""Which photos of a data set look the same, so that no split tears them apart.

A photo's perceptual hash needs its pixels, so it is kept by the photo's content: a line of a text
file for each, which several trainings may append to at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np

from imaging import Rejection, prepare
from training.data.check import CHECK_SPEC
from training.data.dataset import LabelledImage, read_image
from training.data.duplicates import equal_pairs, groups, near_pairs, perceptual_hash
from training.progress import tracked

FILE_NAME = f"looks-{CHECK_SPEC.hash[:12]}.txt"
_LINE_LENGTH = 64 + 1 + 16
_HEXADECIMAL = frozenset("0123456789abcdef")


def looks_of(
    images: Sequence[LabelledImage], digests: Sequence[str], cache: Path
) -> tuple[int | None, ...]:
    """The perceptual hash of each image; None where its pixels cannot be had.

    Args:
        digests: the sha256 of each image's bytes, 64 hex digits.
        cache: a folder; only images that it does not know are read.

    Raises:
        OSError: an image cannot be read, or the cache cannot be read or written.
    """
    known = _read(cache / FILE_NAME)
    missing = {
        digest: image for image, digest in zip(images, digests, strict=True) if digest not in known
    }

    def look(image: LabelledImage) -> int | None:
        prepared = prepare(read_image(image.path), CHECK_SPEC)
        if isinstance(prepared, Rejection):
            return None
        pixels = np.frombuffer(prepared.pixels, np.uint8)
        return perceptual_hash(pixels.reshape(CHECK_SPEC.size, CHECK_SPEC.size, 3))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = zip(missing, pool.map(look, missing.values()), strict=True)
        shown = tracked(found, "looks", len(missing)) if missing else found
        new = {digest: looks for digest, looks in shown if looks is not None}
    if new:
        _append(cache / FILE_NAME, new)
    seen = known | new
    return tuple(seen.get(digest) for digest in digests)


def first_alike(digests: Sequence[str], looks: Sequence[int | None]) -> tuple[int, ...]:
    """For each image the index of the first one that looks the same, often its own.

    Images look the same when their bytes or their perceptual hashes do.
    """
    seen = [place for place, each in enumerate(looks) if each is not None]
    near = (
        (seen[one], seen[other])
        for one, other in near_pairs([each for each in looks if each is not None])
    )
    first = list(range(len(digests)))
    for members in groups(chain(equal_pairs(digests), near)):
        for place in members:
            first[place] = members[0]
    return tuple(first)


def _read(file: Path) -> dict[str, int]:
    """The complete lines of the file: a training may have been killed while it wrote one."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return {
        line[:64]: int(line[65:], 16)
        for line in lines
        if len(line) == _LINE_LENGTH and set(line[:64] + line[65:]) <= _HEXADECIMAL
    }


def _append(file: Path, looks: Mapping[str, int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # The first line end closes a line that was cut off.
    text = "\n" + "".join(f"{digest} {each:016x}\n" for digest, each in looks.items())
    with file.open("a", encoding="ascii") as opened:
        opened.write(text)
