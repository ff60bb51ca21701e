"""The record: one image's row, and one line of JSON wherever it is printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Protocol

from imaging import Rejection
from pipeline.answers import Answer, Prediction
from pipeline.events import ImageRef


class Status(StrEnum):
    """How an image ended."""

    CLASSIFIED = "CLASSIFIED"
    REJECTED = "REJECTED"
    DELETED = "DELETED"


class Source(StrEnum):
    """The road an image took."""

    DROP = "drop"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Times are UTC, ISO 8601; confidences 0..1; width and height as displayed, in pixels."""

    image: str
    key: str
    version: str
    status: Status
    label: str | None = None
    confidence: float | None = None
    predictions: tuple[Prediction, ...] = ()
    reason: str | None = None
    model: str | None = None
    source: Source
    format: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int
    received_at: str
    classified_at: str

    def to_json(self) -> dict[str, Any]:
        """Every field of the contract, in its order; what an image does not have is null."""
        return asdict(self) | {"predictions": [asdict(each) for each in self.predictions]}


FIELD_NAMES = tuple(field.name for field in fields(Record))


class Described(Protocol):
    """What is known of an image's file: a ``Prepared``, or a row of a shard."""

    @property
    def format(self) -> str | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...


def classified(
    ref: ImageRef, described: Described, answer: Answer, now: str, source: Source = Source.DROP
) -> Record:
    return Record(
        image=ref.image,
        key=ref.key,
        version=ref.version,
        status=Status.CLASSIFIED,
        label=answer.label,
        confidence=answer.confidence,
        predictions=answer.predictions,
        model=answer.model,
        source=source,
        format=described.format,
        width=described.width,
        height=described.height,
        bytes=ref.size_bytes,
        received_at=ref.received_at,
        classified_at=now,
    )


def rejected(ref: ImageRef, rejection: Rejection, now: str, source: Source = Source.DROP) -> Record:
    return Record(
        image=ref.image,
        key=ref.key,
        version=ref.version,
        status=Status.REJECTED,
        reason=str(rejection.reason),
        source=source,
        format=rejection.format,
        width=rejection.width,
        height=rejection.height,
        bytes=ref.size_bytes,
        received_at=ref.received_at,
        classified_at=now,
    )


def deleted(ref: ImageRef, now: str, reason: str | None = None) -> Record:
    """A tombstone: it keeps a late event of an older version from bringing the image back."""
    return Record(
        image=ref.image,
        key=ref.key,
        version=ref.version,
        status=Status.DELETED,
        reason=reason,
        source=Source.DROP,
        bytes=ref.size_bytes,
        received_at=ref.received_at,
        classified_at=now,
    )
