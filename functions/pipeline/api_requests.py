"""The API's requests and answers as values: query strings, ids and errors."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pipeline.cursors import InvalidCursorError, from_cursor, to_cursor
from pipeline.queries import Page, Query, Sort
from pipeline.records import Record, Road, Status
from pipeline.since import InvalidTimeError, parse_since
from pipeline.url_text import from_url_text, to_url_text

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
DEFAULT_DAYS, MAX_DAYS = 30, 400  # counters are kept for 400 days
PARAMETERS = (
    "label",
    "status",
    "min_confidence",
    "max_confidence",
    "since",
    "until",
    "model",
    "source",
    "reviewed",
    "group",
    "sort",
    "limit",
    "cursor",
)
THUMBNAIL_PARAMETERS = ("version", "size")
# Lengths of the longer side, pixels.
SIZES = (256, 1024)
# A presigned address carries its signature in parameters with this prefix.
SIGNATURE_PREFIX = "x-amz-"
# DynamoDB's partition keys have at most 2,048 bytes, of which the label's has two more:
# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_LABEL_BYTES = 2046
MAX_ADDRESS_BYTES = 2048
# Names of models, of groups and of keys are far shorter.
MAX_TEXT_BYTES = 1024

Choice = TypeVar("Choice", bound=StrEnum)


class InvalidRequestError(Exception):
    """A parameter or an id is invalid; the message is for the user."""


class UnknownIdError(InvalidRequestError):
    """No image can have this id."""


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a page: the filters, the page size, and the last page's last sort key.

    ``filters`` are the parameters that a cursor depends on, as typed: a span such as 2h stays the
    same from page to page although the moment that it means moves.
    """

    query: Query
    limit: int
    cursor: str | None
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
        _refuse_unknown(given, PARAMETERS)
        _refuse_repeated(raw_query, PARAMETERS)
        query = Query(
            label=_label(given),
            status=_choice(given, "status", Status, str.upper),
            min_confidence=_confidence(given, "min_confidence"),
            max_confidence=_confidence(given, "max_confidence"),
            since=_moment(given, "since", now),
            until=_moment(given, "until", now),
            model=_text(given, "model"),
            source=_choice(given, "source", Road),
            reviewed=_truth(given, "reviewed"),
            group=_text(given, "group"),
            sort=_choice(given, "sort", Sort) or Sort.NEWEST,
        )
        as_typed = {
            name: " ".join(given.get(name, "").upper().split()) for name in ("since", "until")
        }
        filters = (replace(query, since=as_typed["since"], until=as_typed["until"]),)
        return cls(query, _limit(given), _cursor(given, filters), filters)

    def answer(self, page: Page) -> dict[str, Any]:
        """Returns a page in the API's form; its cursor is only valid with the same filters."""
        cursor = None if page.cursor is None else to_cursor(page.cursor, self.filters)
        return {"predictions": [with_id(each) for each in page.records], "cursor": cursor}


@dataclass(frozen=True, slots=True)
class ThumbnailRequest:
    """A request for a thumbnail; without a version, of the one that the row shows."""

    version: str | None
    size: int

    @classmethod
    def parse(cls, parameters: Mapping[str, str], raw_query: str) -> ThumbnailRequest:
        """Reads a query string's parameters; empty ones count as absent.

        Raises:
            InvalidRequestError: an unknown or repeated parameter, or a size that is not made.
        """
        given = {name: value for name, value in parameters.items() if value.strip()}
        _refuse_unknown(given, THUMBNAIL_PARAMETERS)
        _refuse_repeated(raw_query, THUMBNAIL_PARAMETERS)
        size = given.get("size", str(SIZES[0])).strip()
        if size not in {str(each) for each in SIZES}:
            raise InvalidRequestError(f"size must be one of {', '.join(map(str, SIZES))}")
        return cls(_text(given, "version"), int(size))


def summary_days(parameters: Mapping[str, str], raw_query: str) -> int:
    """Returns how many days a summary is about, today included.

    Raises:
        InvalidRequestError: another parameter, a repeated one, or a number out of range.
    """
    given = {name: value for name, value in parameters.items() if value.strip()}
    _refuse_unknown(given, ("days",))
    _refuse_repeated(raw_query, ("days",))
    text = given.get("days", str(DEFAULT_DAYS)).strip()
    # Python refuses to convert thousands of digits.
    if not (text.isdecimal() and len(text) <= len(str(MAX_DAYS)) and 1 <= int(text) <= MAX_DAYS):
        raise InvalidRequestError(f"days must be a whole number from 1 to {MAX_DAYS}")
    return int(text)


def _refuse_unknown(given: Mapping[str, str], known: Sequence[str]) -> None:
    """Refuses unknown parameters: ignoring a mistyped filter would list everything."""
    for name in given:
        if name in known or name.lower().startswith(SIGNATURE_PREFIX):
            continue
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidRequestError(
            f"unknown parameter {name[:40]!r}; valid are {', '.join(known)}{hint}"
        )


def _refuse_repeated(raw_query: str, known: Sequence[str]) -> None:
    times = Counter(name for name, _ in parse_qsl(raw_query))
    for name in known:
        if times[name] > 1:
            raise InvalidRequestError(f"{name} is given {times[name]} times; give it once")


def _label(given: Mapping[str, str]) -> str | None:
    label = given.get("label")
    if label is not None and not _is_text_within(label, MAX_LABEL_BYTES):
        raise InvalidRequestError(f"label must be text of at most {MAX_LABEL_BYTES} bytes")
    return label


def _text(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and not _is_text_within(text, MAX_TEXT_BYTES):
        raise InvalidRequestError(f"{name} must be text of at most {MAX_TEXT_BYTES} bytes")
    return text


def _choice(
    given: Mapping[str, str],
    name: str,
    choices: type[Choice],
    spelled: Callable[[str], str] = str.lower,
) -> Choice | None:
    if name not in given:
        return None
    try:
        return choices(spelled(given[name].strip()))
    except ValueError:
        raise InvalidRequestError(f"{name} must be one of {', '.join(choices)}") from None


def _truth(given: Mapping[str, str], name: str) -> bool | None:
    if name not in given:
        return None
    text = given[name].strip().lower()
    if text not in ("true", "false"):
        raise InvalidRequestError(f"{name} must be true or false")
    return text == "true"


def _confidence(given: Mapping[str, str], name: str) -> float | None:
    if name not in given:
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = -1.0
    # Written so that NaN fails the comparison too.
    if not 0 <= value <= 1:
        raise InvalidRequestError(f"{name} must be a number from 0 to 1")
    return value


def _moment(given: Mapping[str, str], name: str, now: datetime) -> str | None:
    if name not in given:
        return None
    try:
        return parse_since(given[name], now)
    except InvalidTimeError as error:
        raise InvalidRequestError(f"{name}: {error}") from error


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(DEFAULT_LIMIT)).strip()
    # Python refuses to convert thousands of digits.
    if not (text.isdecimal() and len(text) <= len(str(MAX_LIMIT))):
        text = "0"
    if not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidRequestError(f"limit must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _cursor(given: Mapping[str, str], filters: tuple[object, ...]) -> str | None:
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
        UnknownIdError: it is not an id.
    """
    try:
        image = from_url_text(prediction_id)
    except ValueError:
        image = ""
    if not (image and _is_text_within(image, MAX_ADDRESS_BYTES)):
        raise UnknownIdError("an id must be an `id` that /predictions has returned")
    return image


def _is_text_within(text: str, max_bytes: int) -> bool:
    """Returns whether it can be a key of the table; lone surrogates ("\\ud800") cannot."""
    try:
        return len(text.encode()) <= max_bytes
    except UnicodeEncodeError:
        return False
