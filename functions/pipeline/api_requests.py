"""The API's requests as values: what a listing's query string asks for, and prediction ids."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.queries import Query
from pipeline.records import Record, Status

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class InvalidRequestError(Exception):
    """A parameter or an id that makes no sense; the text is for the user."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A listing: what to list, how many at most, and where the page before it ended."""

    query: Query
    limit: int
    cursor: str | None

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> ListRequest:
        """From a query string's parameters; unknown ones are ignored.

        Raises:
            InvalidRequestError: an unknown status, or a number out of its range.
        """
        query = Query(
            label=parameters.get("label"),
            status=_status(parameters),
            min_confidence=_confidence(parameters),
            since=parameters.get("since"),
        )
        return cls(query, _limit(parameters), parameters.get("cursor"))


def _status(parameters: Mapping[str, str]) -> Status | None:
    if "status" not in parameters:
        return None
    try:
        return Status(parameters["status"].upper())
    except ValueError:
        raise InvalidRequestError(f"status is one of {', '.join(Status)}") from None


def _confidence(parameters: Mapping[str, str]) -> float | None:
    if "min_confidence" not in parameters:
        return None
    try:
        value = float(parameters["min_confidence"])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidRequestError("min_confidence is a number from 0 to 1")
    return value


def _limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidRequestError(f"limit is a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def with_id(record: Record) -> dict[str, Any]:
    """A record as the API returns it."""
    return {"id": id_of(record.image)} | record.to_json()


def id_of(image: str) -> str:
    """The image's address, safe in a URL path whatever characters its key holds."""
    return base64.urlsafe_b64encode(image.encode()).decode().rstrip("=")


def image_from_id(prediction_id: str) -> str:
    """The image's address from its id.

    Raises:
        InvalidRequestError: it is not an id.
    """
    padded = prediction_id + "=" * (-len(prediction_id) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise InvalidRequestError("an id is what /predictions calls id") from None
