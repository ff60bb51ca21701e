"""Parses the S3 notifications in queue messages into references to images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from pipeline.errors import UnknownEventError

# S3 sequencers are hexadecimal strings of varying length. Two sequencers of one key are compared
# after padding the shorter one with zeros on the right:
# docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
# Stored padded, DynamoDB's own string comparison orders them. Seen so far: 16 to 18 digits.
SEQUENCER_DIGITS = 40
# Listings have no sequencers; this sorts below every real one.
NO_SEQUENCER = ""
# For a version that was erased before its event came: below every real one, above the former.
UNKNOWN_SEQUENCER = "0" * SEQUENCER_DIGITS
# Of a listed row that `imagedrop reprocess` has answered again: above both, below every real one.
RESENT_SEQUENCER = "1".rjust(SEQUENCER_DIGITS, "0")


class Change(StrEnum):
    """The kind of change to an object."""

    CREATED = "created"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One change of one version of one object.

    ``version`` is the version id, or the etag where the bucket keeps no versions.
    ``size_bytes`` is 0 for a removal. ``received_at`` is S3's event time, UTC, ISO 8601.
    """

    bucket: str
    key: str
    version: str
    versioned: bool
    sequencer: str
    size_bytes: int
    received_at: str
    change: Change
    version_removed: bool = False
    """True when exactly this version was erased; a delete marker hides all versions."""

    @property
    def image(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def utc_text(moment: datetime) -> str:
    """Formats a time as in S3's events, so that times compare as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> str:
    """Returns the time now, formatted by ``utc_text``."""
    return utc_text(datetime.now(UTC))


def parse_queue_body(body: str) -> list[ImageRef]:
    """Returns the references in one queue message; empty for the test event S3 sends at set-up.

    Raises:
        UnknownEventError: the body is not an S3 notification.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnknownEventError("the message is not JSON") from error
    if not isinstance(message, Mapping):
        raise UnknownEventError("the message is not a JSON object")
    if message.get("Event") == "s3:TestEvent":
        return []
    records = message.get("Records")
    if not isinstance(records, list):
        raise UnknownEventError("the message holds no S3 records")
    return [_parse_record(record) for record in records]


def _parse_record(record: Mapping[str, Any]) -> ImageRef:
    try:
        name = record["eventName"]
        s3_object = record["s3"]["object"]
        version_id = s3_object.get("versionId")
        return ImageRef(
            bucket=_text(record["s3"]["bucket"]["name"]),
            # S3 encodes keys here (a space is a plus sign); EventBridge's are raw.
            key=unquote_plus(_text(s3_object["key"])),
            version=_text(version_id or s3_object.get("eTag", "")),
            versioned=bool(version_id),
            sequencer=_text(s3_object["sequencer"]).upper().ljust(SEQUENCER_DIGITS, "0"),
            size_bytes=_size(s3_object.get("size", 0)),
            received_at=_text(record["eventTime"]),
            change=_change(name),
            version_removed=name == "ObjectRemoved:Delete" and bool(version_id),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnknownEventError(f"an S3 record without {error}") from error


def _text(value: object) -> str:
    """Returns the text if it can be stored; JSON allows lone surrogates ("\\ud800")."""
    if not isinstance(value, str):
        raise TypeError(f"text in place of {type(value).__name__}")
    value.encode()
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise TypeError("a size in bytes")
    return value


def _change(event_name: str) -> Change:
    if event_name.startswith("ObjectCreated:"):
        return Change.CREATED
    if event_name.startswith("ObjectRemoved:"):
        return Change.REMOVED
    raise UnknownEventError(f"an event of the kind {event_name}")


def latest_of_each_image(refs: list[ImageRef]) -> list[ImageRef]:
    """Returns each reference once, without those superseded by a later change of the same key.

    The erasure of one version supersedes nothing: the other versions may still exist.
    """
    newest: dict[str, str] = {}
    for ref in refs:
        if not ref.version_removed:
            newest[ref.image] = max(ref.sequencer, newest.get(ref.image, ""))
    return [
        ref
        for ref in dict.fromkeys(refs)
        if ref.version_removed or ref.sequencer == newest[ref.image]
    ]
