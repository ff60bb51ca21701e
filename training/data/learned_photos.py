"""The photos that a model was trained on: `learned_photos.txt`, beside the model's weights.

A comment line, then a line for each photo: the first 16 hex digits of the sha256 of its bytes, its
perceptual hash as 16 hex digits (`-` where there is none), and how it was used: `train` (the model
learned from it) or `valid` (its epoch was chosen by it). Two of a million different photos share
16 digits with a probability of 3 in 100 million. An evaluation names the photos that it finds here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.package import LEARNED_PHOTOS_NAME
from training.data.duplicates import near_pairs
from training.errors import TrainingError

# A million photos are 40 MB.
MAX_BYTES = 256 * 1024 * 1024
_DIGITS = 16
_HEADING = "# sha256 (its first 16 digits), perceptual hash, use: train or valid"
_LINE = re.compile(r"([0-9a-f]{16}) ([0-9a-f]{16}|-) (train|valid)")

Use = Literal["train", "valid"]


@dataclass(frozen=True, slots=True)
class LearnedPhoto:
    """A photo that a training used."""

    digest: str
    """The first 16 hex digits of the sha256 of its bytes."""
    looks: int | None
    """Its perceptual hash."""
    use: Use

    @classmethod
    def of(cls, digest: str, looks: int | None, use: Use) -> LearnedPhoto:
        """Takes the whole hash of the bytes."""
        return cls(digest[:_DIGITS], looks, use)


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """How a training used a photo."""

    use: Use
    is_same_file: bool
    """Byte for byte; otherwise they look the same."""


def learned_text(photos: Iterable[LearnedPhoto]) -> bytes:
    """The content of the file; the same photos give the same bytes."""
    lines = sorted(
        f"{each.digest} {'-' if each.looks is None else f'{each.looks:016x}'} {each.use}"
        for each in photos
    )
    return "".join(f"{line}\n" for line in (_HEADING, *lines)).encode("ascii")


def read_learned(folder: Path) -> tuple[LearnedPhoto, ...] | None:
    """Reads the file of a model's folder; None for a model that has none.

    Raises:
        TrainingError: it is not such a file.
        OSError: it cannot be read.
    """
    file = folder / LEARNED_PHOTOS_NAME
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_BYTES:
        raise _unreadable(f"is larger than {MAX_BYTES} bytes")
    lines = content.decode("ascii", errors="replace").splitlines()
    found = [_LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    if not all(found):
        raise _unreadable("has a line that is no photo")
    return tuple(
        LearnedPhoto(
            digest=each[1],
            looks=None if each[2] == "-" else int(each[2], 16),
            use="train" if each[3] == "train" else "valid",
        )
        for each in found
        if each
    )


def _unreadable(what: str) -> TrainingError:
    return TrainingError(
        f"The model's {LEARNED_PHOTOS_NAME} {what}.", "Take the model as the training wrote it."
    )


def acquaintances(
    digests: Sequence[str], looks: Sequence[int | None], learned: Sequence[LearnedPhoto]
) -> tuple[Acquaintance | None, ...]:
    """How the training used each photo, found by its bytes, else by its looks; None for new photos.

    A photo that it learned from counts before one that its epoch was chosen by.
    """
    by_bytes = {each.digest: each.use for each in _valid_first(learned)}
    by_looks = _uses_by_looks(looks, learned)

    def knows(digest: str, look: int | None) -> Acquaintance | None:
        if (use := by_bytes.get(digest[:_DIGITS])) is not None:
            return Acquaintance(use, is_same_file=True)
        if look is not None and (use := by_looks.get(look)) is not None:
            return Acquaintance(use, is_same_file=False)
        return None

    return tuple(knows(*photo) for photo in zip(digests, looks, strict=True))


def _valid_first(learned: Iterable[LearnedPhoto]) -> list[LearnedPhoto]:
    return sorted(learned, key=lambda each: each.use == "train")


def _uses_by_looks(looks: Sequence[int | None], learned: Sequence[LearnedPhoto]) -> dict[int, Use]:
    """The use of the learned photos that look like each of these."""
    known = {each.looks: each.use for each in _valid_first(learned) if each.looks is not None}
    uses: dict[int, Use] = {look: known[look] for look in looks if look in known}
    # near_pairs returns only the first of equal hashes, so these have none.
    asked = sorted({each for each in looks if each is not None and each not in known})
    hashes = [*asked, *known]
    for one, other in near_pairs(hashes):
        if one < len(asked) <= other:
            use = known[hashes[other]]
            uses[hashes[one]] = "train" if "train" in (use, uses.get(hashes[one])) else use
    return uses
