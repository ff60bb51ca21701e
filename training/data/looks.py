"""Which photos of a data set look the same, so that no split separates them.

A photo's perceptual hash needs its pixels, so it is kept by the photo's content: a line of a text
file for each, which several trainings may append to at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging import Rejection
from training.data.check import CHECK_SPEC
from training.data.copies import Appearance, is_edit, nearest_pairs
from training.data.dataset import LabelledImage, load_pixels
from training.data.duplicates import equal_pairs, groups, near_pairs, perceptual_hash
from training.progress import tracked

log = logging.getLogger(__name__)

FILE_NAME = f"looks-{CHECK_SPEC.hash[:12]}.txt"
PAIRS_NAME = f"edited-{CHECK_SPEC.hash[:12]}.txt"
_LINE_LENGTH, _PAIR_LENGTH = 64 + 1 + 16, 64 + 1 + 64 + 1 + 1
# All pairs of features are compared: seconds of CPU, four times as long for twice as many photos.
MAX_COMPARED = 10_000
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
        pixels = _pixels(image)
        return None if pixels is None else perceptual_hash(pixels)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = zip(missing, pool.map(look, missing.values()), strict=True)
        shown = tracked(found, "looks", len(missing)) if missing else found
        new = {digest: looks for digest, looks in shown if looks is not None}
    if new:
        _append(cache / FILE_NAME, [f"{digest} {each:016x}" for digest, each in new.items()])
    seen = known | new
    return tuple(seen.get(digest) for digest in digests)


def first_alike(
    digests: Sequence[str],
    looks: Sequence[int | None],
    edited: Iterable[tuple[int, int]] = (),
) -> tuple[int, ...]:
    """For each image the index of the first one that looks the same, often its own.

    Images look the same when their bytes or their perceptual hashes do, or one is an edited copy.
    """
    seen = [place for place, each in enumerate(looks) if each is not None]
    near = (
        (seen[one], seen[other])
        for one, other in near_pairs([each for each in looks if each is not None])
    )
    first = list(range(len(digests)))
    for members in groups(chain(equal_pairs(digests), near, edited)):
        for place in members:
            first[place] = members[0]
    return tuple(first)


def edited_pairs(
    images: Sequence[LabelledImage],
    digests: Sequence[str],
    features: Callable[[], npt.NDArray[np.float32]],
    cache: Path,
) -> list[tuple[int, int]]:
    """Indices of images of which one is an edited copy of the other: mirrored, framed, cropped.

    As `data check --model` finds them. Only images whose features are near are read, and the
    results of comparing pixels are cached.

    Args:
        features: gives float32 [n, d]; not asked of more than MAX_COMPARED images.

    Raises:
        OSError: an image cannot be read, or the cache cannot be read or written.
    """
    if len(images) > MAX_COMPARED:
        log.info("no search for edited copies among more than %d photos", MAX_COMPARED)
        return []
    keys = {
        pair: " ".join(sorted(digests[place] for place in pair))
        for pair in nearest_pairs(features())
    }
    known = {line[:-2]: line[-1] == "1" for line in _lines(cache / PAIRS_NAME, _PAIR_LENGTH)}
    missing = {pair: key for pair, key in keys.items() if key not in known}
    places = sorted({place for pair in missing for place in pair})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = dict(
            zip(places, pool.map(_appearance, (images[each] for each in places)), strict=True)
        )
    new = {key: _is_edit(seen[one], seen[other]) for (one, other), key in missing.items()}
    if new:
        _append(cache / PAIRS_NAME, [f"{key} {int(is_copy)}" for key, is_copy in new.items()])
    return [pair for pair, key in keys.items() if (known | new)[key]]


def _is_edit(one: Appearance | None, other: Appearance | None) -> bool:
    return one is not None and other is not None and is_edit(one, other)


def _appearance(image: LabelledImage) -> Appearance | None:
    pixels = _pixels(image)
    return None if pixels is None else Appearance.of(pixels)


def _pixels(image: LabelledImage) -> npt.NDArray[np.uint8] | None:
    outcome = load_pixels(image, CHECK_SPEC)
    return None if isinstance(outcome, Rejection) else outcome


def _read(file: Path) -> dict[str, int]:
    return {line[:64]: int(line[65:], 16) for line in _lines(file, _LINE_LENGTH)}


def _lines(file: Path, length: int) -> list[str]:
    """The complete lines of the file: a training may have been killed while it wrote one."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [
        line for line in lines if len(line) == length and set(line.replace(" ", "")) <= _HEXADECIMAL
    ]


def _append(file: Path, lines: Iterable[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # The first line end closes a line that was cut off.
    text = "\n" + "".join(f"{line}\n" for line in lines)
    with file.open("a", encoding="ascii") as opened:
        opened.write(text)
