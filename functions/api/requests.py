"""The API's requests and answers as values: query strings, ids and errors."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from api.cursors import InvalidCursorError, from_cursor, to_cursor
from api.since import InvalidTimeError, parse_since
from pipeline.queries import Page, Query, Sort
from pipeline.records import Record, Road, Status
from pipeline.url_text import from_url_text, to_url_text

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
DEFAULT_DAYS, MAX_DAYS = 30, 400  # counters are kept for 400 days
DRIFT_DAYS = 7
PARAMETERS = (*(each.name for each in fields(Query)), "limit", "cursor")
THUMBNAIL_PARAMETERS = ("version", "size")
# Lengths of the longer side, pixels.
SIZES = (256, 1024)
# A presigned address carries its signature in parameters with this prefix.
SIGNATURE_PREFIX = "x-amz-"
# DynamoDB's partition keys have at most 2,048 bytes, of which the label's has two more:
# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ADDRESS_BYTES = 2048
# 2,000 bytes at most; names of labels, models and groups are far shorter.
MAX_TEXT_CHARACTERS = 500
MAX_VERSION_CHARACTERS = 1024
# Nothing, or white space alone: such a parameter counts as absent. The description has the pattern.
BLANK_PATTERN = r"^[ \t\r\n]*$"
# As JSON writes numbers; Python reads more, such as 1_0 and digits of every script.
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)

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
        given = _given(parameters, raw_query, PARAMETERS)
        query = Query(
            label=_text(given, "label"),
            status=_choice(given, "status", Status, str.upper),
            min_confidence=_confidence(given, "min_confidence"),
            max_confidence=_confidence(given, "max_confidence"),
            since=_moment(given, "since", now),
            until=_moment(given, "until", now),
            model=_text(given, "model"),
            source=_choice(given, "source", Road),
            reviewed=_truth(given, "reviewed"),
            group=_text(given, "group"),
            disagreement=_truth(given, "disagreement"),
            sort=_choice(given, "sort", Sort) or Sort.NEWEST,
        )
        as_typed = {
            name: " ".join(given.get(name, "").upper().split()) for name in ("since", "until")
        }
        filters = (replace(query, since=as_typed["since"], until=as_typed["until"]),)
        return cls(
            query,
            _whole(given, "limit", DEFAULT_LIMIT, MAX_LIMIT),
            _cursor(given, filters),
            filters,
        )

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
        given = _given(parameters, raw_query, THUMBNAIL_PARAMETERS)
        size = given.get("size", str(SIZES[0])).strip()
        if size not in {str(each) for each in SIZES}:
            raise InvalidRequestError(f"size must be one of {', '.join(map(str, SIZES))}")
        return cls(_text(given, "version", MAX_VERSION_CHARACTERS), int(size))


def days_asked(parameters: Mapping[str, str], raw_query: str, default: int) -> int:
    """Returns how many days an answer is about, today included.

    Raises:
        InvalidRequestError: another parameter, a repeated one, or a number out of range.
    """
    return _whole(_given(parameters, raw_query, ("days",)), "days", default, MAX_DAYS)


def _given(parameters: Mapping[str, str], raw_query: str, known: Sequence[str]) -> dict[str, str]:
    """Returns the parameters that are not empty.

    Raises: InvalidRequestError: an unknown one, because ignoring a mistyped filter would list
    everything; or one that is given twice.
    """
    given = {
        name: value
        for name, value in parameters.items()
        if re.fullmatch(BLANK_PATTERN[1:-1], value) is None
    }
    _refuse_unknown(given, known)
    _refuse_repeated(raw_query, known)
    return given


def _refuse_unknown(given: Mapping[str, str], known: Sequence[str]) -> None:
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


def _text(
    given: Mapping[str, str], name: str, most_characters: int = MAX_TEXT_CHARACTERS
) -> str | None:
    text = given.get(name)
    if text is not None and not (len(text) <= most_characters and is_unicode(text)):
        raise InvalidRequestError(f"{name} must be text of at most {most_characters} characters")
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
    if _NUMBER.fullmatch(given[name].strip()) is None or not 0 <= float(given[name]) <= 1:
        raise InvalidRequestError(f"{name} must be a number from 0 to 1")
    return float(given[name])


def _moment(given: Mapping[str, str], name: str, now: datetime) -> str | None:
    if name not in given:
        return None
    try:
        return parse_since(given[name], now)
    except InvalidTimeError as error:
        raise InvalidRequestError(f"{name}: {error}") from error


def _whole(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default)).strip()
    if _WHOLE.fullmatch(text) is None or not 1 <= int(text) <= most:
        raise InvalidRequestError(f"{name} must be a whole number from 1 to {most}")
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
    if not (image and is_unicode(image) and len(image.encode()) <= MAX_ADDRESS_BYTES):
        raise UnknownIdError("an id must be an `id` that /predictions has returned")
    return image


def is_unicode(text: str) -> bool:
    """Returns False for lone surrogates ("\\ud800"), which no key of the table can have."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
