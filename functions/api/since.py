"""The times and spans that people type for ``since``, for the API and the command line alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pipeline.events import utc_text

ACCEPTED = (
    "a time (2026-11-29, 2026-11-29 23:59, 2026-11-29T23:59:00+01:00; UTC unless it names an "
    "offset), a span until now (30m, 2h, 7d, 1w), today or yesterday"
)
# In a query string, an unescaped plus sign arrives as a space.
PLUS_HINT = "; write the plus sign of an offset as %2B in a URL"
SHOWN_CHARACTERS = 60
# A year outside is a typing error; the last one leaves room for every offset.
YEARS = range(1970, 9999)

_TIME = re.compile(
    r"(?P<date>\d{4}(?:-\d\d(?:-\d\d)?)?)"
    r"(?:(?<=-\d\d-\d\d)[T ](?P<clock>\d\d(?::\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?)"
    r" ?(?P<zone>Z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_SPACE_FOR_PLUS = re.compile(r".*\d [0-9]{2}:?[0-9]{2}", re.ASCII)
_MISSING_DATE = {4: "-01-01", 7: "-01", 10: ""}
_UNIT = "S|SECS?|SECONDS?|M|MINS?|MINUTES?|H|HRS?|HOURS?|D|DAYS?|W|WEEKS?"
_PART = re.compile(rf"(\d{{1,9}}) ?({_UNIT})", re.ASCII)
_SPAN = re.compile(rf"\d{{1,9}} ?(?:{_UNIT})(?: ?\d{{1,9}} ?(?:{_UNIT}))*", re.ASCII)
_UNIT_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": 86_400, "W": 604_800}


class InvalidTimeError(Exception):
    """The text is neither a time nor a span; the message, for the user, says what is accepted."""


def parse_since(text: str, now: datetime) -> str:
    """Parses a time or a span; returns the moment as UTC ISO 8601, as the table stores times.

    A time without an offset is UTC. A shortened time means its first moment: ``2026-11`` is
    2026-11-01T00:00:00.000Z. A span counts back from ``now``; days begin at 00:00 UTC.

    Args:
        now: the present moment, with a time zone.

    Raises:
        InvalidTimeError: the text is neither, or not within the years 1970 to 9998.
    """
    typed = " ".join(text.upper().split())
    try:
        moment = (_named_day(typed, now) or _span(typed, now) or _time(typed)).astimezone(UTC)
        if moment.year not in YEARS:
            raise ValueError(typed)
        return utc_text(moment)
    except (ValueError, OverflowError):
        hint = PLUS_HINT if _SPACE_FOR_PLUS.fullmatch(typed) else ""
        raise InvalidTimeError(
            f"{text[:SHOWN_CHARACTERS]!r} is not a time. Write {ACCEPTED}{hint}"
        ) from None


def _named_day(typed: str, now: datetime) -> datetime | None:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"TODAY": today, "YESTERDAY": today - timedelta(days=1)}.get(typed)


def _span(typed: str, now: datetime) -> datetime | None:
    """Returns ``now`` minus a span such as ``1D 12H``; None when it is not a span."""
    span = typed.removesuffix(" AGO")
    if not _SPAN.fullmatch(span):
        return None
    seconds = sum(int(count) * _UNIT_SECONDS[unit[0]] for count, unit in _PART.findall(span))
    return now - timedelta(seconds=seconds)


def _time(typed: str) -> datetime:
    """Parses a time.

    Raises:
        ValueError: it is not a time, or a day or hour that does not exist.
    """
    found = _TIME.fullmatch(typed)
    if found is None:
        raise ValueError(typed)
    date, clock, zone = found["date"], found["clock"] or "00", found["zone"] or "Z"
    offset = "+00:00" if zone in {"Z", "UTC"} else zone
    return datetime.fromisoformat(f"{date}{_MISSING_DATE[len(date)]}T{clock}{offset}")
