"""The record: an image's row in the table, printed as one line of JSON."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Protocol

from imaging import Rejection
from pipeline.answers import Answer, Prediction
from pipeline.events import NO_SEQUENCER, Change, ImageRef

# Buckets without versions have etags in their place.
_ETAG = re.compile(r"[0-9a-f]{32}(-\d+)?")


class Status(StrEnum):
    """The result for an image."""

    CLASSIFIED = "CLASSIFIED"
    REJECTED = "REJECTED"
    DELETED = "DELETED"


class Road(StrEnum):
    """How an image came in; ``source`` in the record."""

    DROP = "drop"
    BULK = "bulk"


class Written(StrEnum):
    """The table's reaction to a listed image's record."""

    NOW = "now"
    BEFORE = "before"  # the row has it already
    NEWER_VERSION = "newer_version"  # the row shows a later version, or its deletion


@dataclass(frozen=True, slots=True)
class Review:
    """A person's review of an image.

    Attributes:
        label: the right label; None for a claim or a skip. With ``none_of_these`` the model's label
        for that (``unknown_dog``) if a person confirmed it, else None.
        by: the caller's identity, an address or an ARN.
        action: one of ``pipeline.review.Action``.
    """

    label: str | None
    by: str
    at: str
    action: str


@dataclass(frozen=True, slots=True)
class CandidateAnswer:
    """The answer of a candidate on trial to the version; never the image's prediction."""

    label: str
    confidence: float
    model: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A row. Times are UTC, ISO 8601; confidences 0..1; width and height as displayed, pixels."""

    image: str
    key: str
    version: str
    status: Status
    label: str | None = None
    confidence: float | None = None
    group: str | None = None
    predictions: tuple[Prediction, ...] = ()
    reason: str | None = None
    model: str | None = None
    source: Road
    format: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int
    received_at: str
    classified_at: str
    candidate: CandidateAnswer | None = None
    review: Review | None = None
    """A person's word on this version, which never takes the place of the model's answer."""
    appearance: str | None = None
    """For the counters alone, of ``imaging.appearance``; no part of what is printed."""

    @property
    def is_abstention(self) -> bool:
        """Whether the label is none of the model's own: ``not_a_dog``, ``unknown_dog``."""
        own = {each.label for each in self.predictions}
        return bool(own) and self.label not in own

    def to_json(self) -> dict[str, Any]:
        """Returns every field of the contract, in its order; null where an image has no value."""
        # Not asdict() of the whole, which copies each value deeply: exports have millions of rows.
        found = {name: getattr(self, name) for name in FIELD_NAMES}
        found["predictions"] = [
            {"label": each.label, "confidence": each.confidence} for each in self.predictions
        ]
        for name in ("candidate", "review"):
            if found[name] is not None:
                found[name] = asdict(found[name])
        return found


FIELD_NAMES = tuple(field.name for field in fields(Record) if field.name != "appearance")


class ImageInfo(Protocol):
    """The known facts of an image's file: a ``Prepared``, or a row of a shard."""

    @property
    def format(self) -> str | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...


def classified(  # noqa: PLR0913, PLR0917 - what is known of an image that was answered
    ref: ImageRef,
    info: ImageInfo,
    answer: Answer,
    now: str,
    source: Road = Road.DROP,
    appearance: str | None = None,
) -> Record:
    """Returns the record of an image with the model's answer."""
    return _record(
        ref,
        Status.CLASSIFIED,
        now,
        source,
        label=answer.label,
        confidence=answer.confidence,
        group=answer.group,
        predictions=answer.predictions,
        model=answer.model,
        format=info.format,
        width=info.width,
        height=info.height,
        appearance=appearance,
    )


def rejected(ref: ImageRef, rejection: Rejection, now: str, source: Road = Road.DROP) -> Record:
    """Returns the record of a file that can never be classified, with the reason."""
    return _record(
        ref,
        Status.REJECTED,
        now,
        source,
        reason=str(rejection.reason),
        format=rejection.format,
        width=rejection.width,
        height=rejection.height,
    )


def deleted(ref: ImageRef, now: str, reason: str | None = None) -> Record:
    """Returns a tombstone, which keeps a late event of an older version from reviving the image."""
    return _record(ref, Status.DELETED, now, Road.DROP, reason=reason)


def _record(ref: ImageRef, status: Status, now: str, source: Road, **known: Any) -> Record:
    """Returns a record with the facts of the reference, which every record has."""
    return Record(
        image=ref.image,
        key=ref.key,
        version=ref.version,
        status=status,
        source=source,
        bytes=ref.size_bytes,
        received_at=ref.received_at,
        classified_at=now,
        **known,
    )


def ref_to_read(record: Record, version: str, images_bucket: str) -> ImageRef:
    """Returns the reference by which a version of a row's image is read again.

    Args:
        images_bucket: the stack's own bucket, which keeps versions.
    """
    bucket = record.image.removeprefix("s3://").partition("/")[0]
    is_etag = bucket != images_bucket and _ETAG.fullmatch(version) is not None
    return ImageRef(
        bucket=bucket,
        key=record.key,
        version=version,
        versioned=not is_etag,
        sequencer=NO_SEQUENCER,
        size_bytes=record.bytes if version == record.version else 0,
        received_at=record.received_at,
        change=Change.CREATED,
    )
