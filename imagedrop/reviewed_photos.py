"""Makes a training folder of the photos that people reviewed: ``PART/LABEL/photo``, with lineage.

A photo's part and its file's name come from the sha256 of its bytes, so that a photo which once
tested a model never trains a later one. ``reviewed.json`` in the folder lists each photo's origin,
the model's answer, and who decided what.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from imagedrop.errors import UserError
from imagedrop.target import PARALLEL_CALLS
from imaging import Rejection
from pipeline.records import Record
from pipeline.review import DECISIONS, Action
from training.data.folders import LINEAGE

NAME_DIGITS = 16
SUFFIXES = {"JPEG": ".jpg"}


@dataclass(frozen=True, slots=True)
class Photo:
    """A reviewed photo in the folder.

    Attributes:
        path: within the folder, with `/`.
        sha256: of the photo's bytes, 64 hex digits.
        label: the right one; `predicted`, `confidence` and `model` are the model's answer.
    """

    path: str
    sha256: str
    image: str
    version: str
    label: str
    predicted: str | None
    confidence: float | None
    model: str | None
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A reviewed photo that is not in the folder, and why."""

    image: str
    reason: str


# The photo's bytes, the sha256 of a photo that the folder has, or why neither.
Found = bytes | str | LeftOut


@dataclass(frozen=True, slots=True)
class Pulled:
    """The result of a pull; ``none_fits`` are reviewed photos that no class's label fits."""

    photos: tuple[Photo, ...]
    new: int
    moved: int
    none_fits: int
    left_out: tuple[LeftOut, ...]


def pull(
    records: Iterable[Record],
    read: Callable[[Record], bytes | Rejection | None],
    folder: Path,
    shares: Mapping[str, float],
    on_photo: Callable[[], None],
) -> Pulled:
    """Adds the reviewed photos to the folder; those that it has already are not read again.

    A photo stays in its part. It moves when its review has another label now, and is removed when
    the review says that none fits, or confirms the label for unknown images. A review that was
    undone is
    no longer among the records: its photo stays.

    Args:
        read: returns a row's photo from S3, None when that version is gone.
        shares: of train, valid and test, 0..1. Without valid and test there are no part folders.

    Raises:
        UserError: the folder holds something else than an earlier pull, or one with parts where
            there are none now, or the reverse.
        TransientError, ClientError: S3 fails.
        OSError: the folder cannot be written.
    """
    had = read_lineage(folder)
    _refuse_other_layout(folder, had, shares)
    known = {(each.image, each.version): each for each in had}
    decided = [each for each in records if each.review and each.review.action in DECISIONS]
    named = [each for each in decided if taught_label(each) is not None]
    left_out: list[LeftOut] = []
    photos: dict[str, Photo] = {each.sha256: each for each in had}
    new = moved = 0
    folder.mkdir(parents=True, exist_ok=True)
    for each in decided:
        _withdraw(folder, each, known, photos)
    find = partial(_find, read, known)
    try:
        for record, found in _in_parallel(find, named):
            on_photo()
            photo = _placed(record, found, shares, known)
            if isinstance(photo, LeftOut):
                left_out.append(photo)
                continue
            old = photos.get(photo.sha256)
            if old is not None and old.at > photo.at:
                continue  # the same photo under another name, and the later review counts
            new += old is None
            moved += old is not None and old.path != photo.path
            _write(folder, photo, old, found if isinstance(found, bytes) else None)
            photos[photo.sha256] = photo
    finally:
        # Also after Ctrl-C: the photos that have come are not read again.
        ordered = tuple(sorted(photos.values(), key=lambda each: each.path))
        _write_lineage(folder, ordered)
    return Pulled(ordered, new, moved, len(decided) - len(named), tuple(left_out))


def _refuse_other_layout(folder: Path, had: Sequence[Photo], shares: Mapping[str, float]) -> None:
    if had and (part_in(had[0]) is None) != (shares["train"] == 1):
        now = "none" if shares["train"] == 1 else "some"
        raise UserError(
            f"{folder} was pulled with other parts: --shares asks for {now}.",
            "Pull with the former --shares, or into a new folder.",
        )


def _withdraw(
    folder: Path,
    record: Record,
    known: Mapping[tuple[str, str], Photo],
    photos: dict[str, Photo],
) -> None:
    """Removes a photo of an earlier pull if its review now says that no label fits."""
    old = known.get((record.image, record.version))
    review = record.review
    if old is None or review is None or review.at < old.at or taught_label(record) is not None:
        return
    (folder / old.path).unlink(missing_ok=True)
    photos.pop(old.sha256, None)


def taught_label(record: Record) -> str | None:
    """Returns the class that a review names; None if no label fits."""
    review = record.review
    return None if review is None or review.action == Action.NONE_OF_THESE else review.label


def part_in(photo: Photo) -> str | None:
    """Returns the part that a photo is in; None if the folder has no parts."""
    part, *below = photo.path.split("/")
    return part if len(below) == 2 else None


def read_lineage(folder: Path) -> tuple[Photo, ...]:
    """Returns the photos of an earlier pull.

    Raises:
        UserError: the folder holds something else, or its lineage cannot be read.
    """
    file = folder / LINEAGE
    if not file.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(
                f"{folder} is not empty and was not made by a pull.", "Give a new folder."
            )
        return ()
    try:
        lines = json.loads(file.read_text(encoding="utf-8"))
        return tuple(Photo(**each) for each in lines)
    except (ValueError, TypeError) as error:
        raise UserError(f"{file} cannot be read: {error}.", "Pull into a new folder.") from error


def _find(
    read: Callable[[Record], bytes | Rejection | None],
    known: Mapping[tuple[str, str], Photo],
    record: Record,
) -> Found:
    had = known.get((record.image, record.version))
    if had is not None:
        return had.sha256
    data = read(record)
    if data is None:
        return LeftOut(record.image, "this version is gone")
    if isinstance(data, Rejection):
        return LeftOut(record.image, str(data.reason))
    return data


def _in_parallel(
    find: Callable[[Record], Found], records: Sequence[Record]
) -> Iterator[tuple[Record, Found]]:
    """Yields each record with what was read, in order, a few at a time: photos are large."""
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        for start in range(0, len(records), PARALLEL_CALLS):
            some = records[start : start + PARALLEL_CALLS]
            yield from zip(some, pool.map(find, some), strict=True)


def _placed(
    record: Record,
    found: Found,
    shares: Mapping[str, float],
    known: Mapping[tuple[str, str], Photo],
) -> Photo | LeftOut:
    if isinstance(found, LeftOut):
        return found
    review, label = record.review, taught_label(record)
    if review is None or label is None:
        raise ValueError(f"{record.image} has no reviewed label")
    if not is_folder_name(label):
        return LeftOut(record.image, f"the label {label!r} cannot be a folder's name")
    sha256 = found if isinstance(found, str) else hashlib.sha256(found).hexdigest()
    format_ = record.format or "image"
    name = sha256[:NAME_DIGITS] + SUFFIXES.get(format_, f".{format_.lower()}")
    old = known.get((record.image, record.version))
    part = part_of(sha256, shares) if old is None else part_in(old)
    return Photo(
        path="/".join([*([part] if part else []), label, name]),
        sha256=sha256,
        image=record.image,
        version=record.version,
        label=label,
        predicted=record.label,
        confidence=record.confidence,
        model=record.model,
        by=review.by,
        at=review.at,
    )


def part_of(sha256: str, shares: Mapping[str, float]) -> str | None:
    """Returns the part of a photo; None where everything is to train on.

    The first 32 bits of the hash are random enough, and the same in every pull.
    """
    if shares["train"] == 1:
        return None
    place, edge = int(sha256[:8], 16) / 2**32, 0.0
    for part, share in shares.items():
        edge += share
        if place < edge:
            return part
    return next(iter(shares))


def is_folder_name(label: str) -> bool:
    """Whether a label can be the name of one folder, and of one that is read as a class.

    People type labels: `../x` must not leave the folder.
    """
    return (
        label.isprintable()
        and label == label.strip()
        and not label.startswith(".")
        and not set(label) & set('/\\:*?"<>|')
        and 0 < len(label.encode()) <= 200
    )


def _write(folder: Path, photo: Photo, old: Photo | None, data: bytes | None) -> None:
    place = folder / photo.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if old is not None and (folder / old.path).is_file():
        os.replace(folder / old.path, place)
    elif data is not None:
        unfinished = place.with_name(f".{place.name}.unfinished")
        unfinished.write_bytes(data)
        os.replace(unfinished, place)
    else:
        raise UserError(
            f"{folder / photo.path} was removed since the last pull.", "Pull into a new folder."
        )


def _write_lineage(folder: Path, photos: Sequence[Photo]) -> None:
    unfinished = folder / f".{LINEAGE}.unfinished"
    rows: list[dict[str, Any]] = [asdict(each) for each in photos]
    unfinished.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / LINEAGE)
