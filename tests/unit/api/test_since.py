"""Every time and span that people type is one moment, or is refused by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.since import InvalidTimeError, parse_since
from pipeline.events import utc_text

NOW = datetime(2026, 11, 29, 7, 30, 15, 250_000, UTC)


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-11-29", "2026-11-29T00:00:00.000Z"),
        ("2026-11-29 23:59", "2026-11-29T23:59:00.000Z"),
        ("2026-11-29T23:59", "2026-11-29T23:59:00.000Z"),
        ("2026-11-29t23:59:58", "2026-11-29T23:59:58.000Z"),
        ("2026-11-29T23:59:58.7", "2026-11-29T23:59:58.700Z"),
        ("2026-11-29 23:59:58,123456789", "2026-11-29T23:59:58.123Z"),
        ("2026-11-29T23:59Z", "2026-11-29T23:59:00.000Z"),
        ("2026-11-29 23:59 utc", "2026-11-29T23:59:00.000Z"),
        ("2026-11-29T23:59+01:00", "2026-11-29T22:59:00.000Z"),
        ("2026-11-29 23:59 -0530", "2026-11-30T05:29:00.000Z"),
        ("2026-11-29T23:59+01", "2026-11-29T22:59:00.000Z"),
        ("  2026-11-29   23:59 ", "2026-11-29T23:59:00.000Z"),
        ("today", "2026-11-29T00:00:00.000Z"),
        ("Yesterday", "2026-11-28T00:00:00.000Z"),
        ("45s", "2026-11-29T07:29:30.250Z"),
        ("30m", "2026-11-29T07:00:15.250Z"),
        ("2h", "2026-11-29T05:30:15.250Z"),
        ("7d", "2026-11-22T07:30:15.250Z"),
        ("1w", "2026-11-22T07:30:15.250Z"),
        ("1h30m", "2026-11-29T06:00:15.250Z"),
        ("1d 12h", "2026-11-27T19:30:15.250Z"),
        ("2 hours ago", "2026-11-29T05:30:15.250Z"),
        ("90 min", "2026-11-29T06:00:15.250Z"),
    ],
)
def test_what_people_type_is_one_moment_in_utc(typed: str, moment: str) -> None:
    assert parse_since(typed, NOW) == moment


def test_a_day_named_elsewhere_is_the_utc_day() -> None:
    # Already the 30th there.
    in_tokyo = datetime(2026, 11, 29, 20, tzinfo=UTC).astimezone(timezone(timedelta(hours=9)))
    assert parse_since("today", in_tokyo) == "2026-11-29T00:00:00.000Z"


@pytest.mark.parametrize("length", [4, 7, 10, 13, 16, 19, 21, 22, 23, 24])
def test_the_beginning_of_a_utc_time_selects_what_the_text_did(length: int) -> None:
    beginning = "2026-11-24T06:07:08.900Z"[:length]
    taken = parse_since(beginning, NOW)
    for stored in (
        "2026-11-24T06:07:08.899Z",
        "2026-11-24T06:07:08.900Z",
        "2025-12-31T23:59:59.999Z",
    ):
        row = f"{stored}#0123456789abcdef"
        assert (row >= taken) == (row >= beginning)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "tomorrow",
        "last week",
        "monday",
        "23:59",
        "29.11.2026",
        "11/29/2026",
        "2026-11-29 25:00",
        "2026-02-30",
        "2026-13",
        "2026-1",
        "2026-11-2",
        "2026-11-29T2",
        "20261129",
        "0000",
        "1711-01-12",
        "9999",
        "3000w",
        "1764374400",
        "1711011231456",
        "2026-11-29T23:59+25:00",
        "0001-01-01 00:00+01:00",
        "9999-12-31 23:59-01:00",
        "2 months",
        "1y",
        "h",
        "-2h",
        "2h!",
        "999999999w",
        "99999999999d",
        "٢h",
        "\uff12\uff10\uff12\uff16",
        "2026-11-29\x00",
    ],
)
def test_anything_else_is_refused_by_name_with_what_is_accepted(typed: str) -> None:
    with pytest.raises(InvalidTimeError, match=r"is not a time\. Write a time") as refused:
        parse_since(typed, NOW)
    assert repr(typed) in str(refused.value)


def test_a_plus_sign_that_an_address_turned_into_a_space_is_explained() -> None:
    with pytest.raises(InvalidTimeError, match="%2B"):
        parse_since("2026-11-29T23:59 01:00", NOW)


@given(st.text(max_size=60))
def test_any_text_is_a_utc_time_or_is_refused(text: str) -> None:
    try:
        taken = parse_since(text, NOW)
    except InvalidTimeError:
        return
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", taken)


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9998, 12, 30)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
    st.sampled_from("T "),
)
def test_every_time_with_an_offset_is_that_moment(
    local: datetime, offset_minutes: int, separator: str
) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    assert parse_since(moment.isoformat(separator), NOW) == utc_text(moment)
