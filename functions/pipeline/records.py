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


class Road(StrEnum):
    """How an image came in; ``source`` in the record."""

    DROP = "drop"
    BULK = "bulk"


class Written(StrEnum):
    """What the table did with a listed image's record."""

    NOW = "now"
    BEFORE = "before"  # the row says it already
    NEWER_VERSION = "newer_version"  # the row shows a later version, or its deletion


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
    source: Road
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


class ImageInfo(Protocol):
    """What is known of an image's file: a ``Prepared``, or a row of a shard."""

    @property
    def format(self) -> str | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...


def classified(
    ref: ImageRef, info: ImageInfo, answer: Answer, now: str, source: Road = Road.DROP
) -> Record:
    """The record of an image that the model has answered."""
    return _record(
        ref,
        Status.CLASSIFIED,
        now,
        source,
        label=answer.label,
        confidence=answer.confidence,
        predictions=answer.predictions,
        model=answer.model,
        format=info.format,
        width=info.width,
        height=info.height,
    )


def rejected(ref: ImageRef, rejection: Rejection, now: str, source: Road = Road.DROP) -> Record:
    """The record of a file that will never be classified, with the reason."""
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
    """A tombstone: it keeps a late event of an older version from bringing the image back."""
    return _record(ref, Status.DELETED, now, Road.DROP, reason=reason)


def _record(ref: ImageRef, status: Status, now: str, source: Road, **known: Any) -> Record:
    """Every record says of its image what the reference says."""
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
