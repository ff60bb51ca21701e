"""The API's requests and answers as values: query strings, ids and errors."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from pipeline.cursors import InvalidCursorError, from_cursor, to_cursor
from pipeline.queries import Page, Query
from pipeline.records import Record, Status
from pipeline.since import InvalidTimeError, parse_since
from pipeline.url_text import from_url_text, to_url_text

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
PARAMETERS = ("label", "status", "min_confidence", "since", "limit", "cursor")
# A presigned address carries its signature in parameters with this prefix.
SIGNATURE_PREFIX = "x-amz-"
# DynamoDB's partition keys have at most 2,048 bytes, of which the label's has two more:
# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_LABEL_BYTES = 2046
MAX_ADDRESS_BYTES = 2048


class InvalidRequestError(Exception):
    """A parameter or an id is invalid; the message is for the user."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a page: the filters, the page size, and the last page's last sort key.

    ``filters`` are the parameters that a cursor depends on, as typed: a span such as 2h stays the
    same from page to page although the moment that it means moves.
    """

    query: Query
    limit: int
    before: str | None
    filters: tuple[object, ...]

    @classmethod
    def parse(cls, parameters: Mapping[str, str], raw_query: str, now: datetime) -> ListRequest:
        """Reads a query string's parameters; empty ones count as absent.

        Args:
            raw_query: the query string itself: API Gateway joins repeated parameters by commas.

        Raises:
            InvalidRequestError: an unknown or repeated parameter, a malformed value or one out of
                range, or a cursor of other filters.
        """
        given = {name: value for name, value in parameters.items() if value.strip()}
        _refuse_unknown(given)
        _refuse_repeated(raw_query)
        query = Query(
            label=_label(given),
            status=_status(given),
            min_confidence=_confidence(given),
            since=_since(given, now),
        )
        asked_since = " ".join(given.get("since", "").upper().split())
        filters = (query.label, query.status, query.min_confidence, asked_since)
        return cls(query, _limit(given), _before(given, filters), filters)

    def answer(self, page: Page) -> dict[str, Any]:
        """Returns a page in the API's form; its cursor is only valid with the same filters."""
        cursor = None if page.cursor is None else to_cursor(page.cursor, self.filters)
        return {"predictions": [with_id(each) for each in page.records], "cursor": cursor}


def _refuse_unknown(given: Mapping[str, str]) -> None:
    """Refuses unknown parameters: ignoring a mistyped filter would list everything."""
    for name in given:
        if name in PARAMETERS or name.lower().startswith(SIGNATURE_PREFIX):
            continue
        near = difflib.get_close_matches(name.lower(), PARAMETERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidRequestError(
            f"unknown parameter {name[:40]!r}; valid are {', '.join(PARAMETERS)}{hint}"
        )


def _refuse_repeated(raw_query: str) -> None:
    times = Counter(name for name, _ in parse_qsl(raw_query))
    for name in PARAMETERS:
        if times[name] > 1:
            raise InvalidRequestError(f"{name} is given {times[name]} times; give it once")


def _label(given: Mapping[str, str]) -> str | None:
    label = given.get("label")
    if label is not None and not _is_text_within(label, MAX_LABEL_BYTES):
        raise InvalidRequestError(f"label must be text of at most {MAX_LABEL_BYTES} bytes")
    return label


def _status(given: Mapping[str, str]) -> Status | None:
    if "status" not in given:
        return None
    try:
        return Status(given["status"].strip().upper())
    except ValueError:
        raise InvalidRequestError(f"status must be one of {', '.join(Status)}") from None


def _confidence(given: Mapping[str, str]) -> float | None:
    if "min_confidence" not in given:
        return None
    try:
        value = float(given["min_confidence"])
    except ValueError:
        value = -1.0
    # Written so that NaN fails the comparison too.
    if not 0 <= value <= 1:
        raise InvalidRequestError("min_confidence must be a number from 0 to 1")
    return value


def _since(given: Mapping[str, str], now: datetime) -> str | None:
    if "since" not in given:
        return None
    try:
        return parse_since(given["since"], now)
    except InvalidTimeError as error:
        raise InvalidRequestError(f"since: {error}") from error


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT)).strip()
    # Python refuses to convert thousands of digits.
    if not (text.isdecimal() and len(text) <= len(str(MAX_LIMIT))):
        text = "0"
    if not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidRequestError(f"limit must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _before(given: Mapping[str, str], filters: tuple[object, ...]) -> str | None:
    if "cursor" not in given:
        return None
    try:
        return from_cursor(given["cursor"].strip(), filters)
    except InvalidCursorError as error:
        raise InvalidRequestError(str(error)) from error


def with_id(record: Record) -> dict[str, Any]:
    """Returns a record in the API's form, with its id."""
    return {"id": id_of(record.image)} | record.to_json()


def id_of(image: str) -> str:
    """Returns an image's id: its address, encoded so that any key is safe in a URL path."""
    return to_url_text(image)


def image_from_id(prediction_id: str) -> str:
    """Returns the image's address from its id.

    Raises:
        InvalidRequestError: it is not an id.
    """
    try:
        image = from_url_text(prediction_id)
    except ValueError:
        image = ""
    if not (image and _is_text_within(image, MAX_ADDRESS_BYTES)):
        raise InvalidRequestError("an id must be an `id` that /predictions has returned")
    return image


def _is_text_within(text: str, max_bytes: int) -> bool:
    """Returns whether it can be a key of the table; lone surrogates ("\\ud800") cannot."""
    try:
        return len(text.encode()) <= max_bytes
    except UnicodeEncodeError:
        return False
