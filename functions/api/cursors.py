"""Cursors of listings: the end of a page, and the filters that it was listed with."""

from __future__ import annotations

import hashlib

from pipeline.url_text import from_url_text, to_url_text

DIGEST_DIGITS = 16
# Of an index's sort key: docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_SORT_KEY_BYTES = 1024


class InvalidCursorError(Exception):
    """It is not a cursor, or one of other filters; the message is for the user."""


def to_cursor(sort_key: str, filters: tuple[object, ...]) -> str:
    """Returns the cursor of a page that ended at this sort key, safe in a URL."""
    return to_url_text(_digest(filters) + sort_key)


def from_cursor(cursor: str, filters: tuple[object, ...]) -> str:
    """Returns the sort key at which the previous page ended.

    Raises:
        InvalidCursorError: it is not a cursor, or one of other filters.
    """
    try:
        text = from_url_text(cursor)
    except ValueError:
        text = ""
    digest, sort_key = text[:DIGEST_DIGITS], text[DIGEST_DIGITS:]
    if not 0 < len(sort_key.encode()) <= MAX_SORT_KEY_BYTES:
        raise InvalidCursorError("cursor must be the `cursor` of the previous page")
    if digest != _digest(filters):
        raise InvalidCursorError(
            "this cursor belongs to other filters: repeat the parameters of the first page"
        )
    return sort_key


def _digest(filters: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(filters).encode()).hexdigest()[:DIGEST_DIGITS]
