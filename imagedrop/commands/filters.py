"""The filters of commands that read the predictions table: their options, and the query."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated

import typer

from api.requests import InvalidRequestError, ListRequest
from api.since import InvalidTimeError, parse_since
from imagedrop.errors import UserError
from imagedrop.output import say
from imagedrop.predictions import every_record, find_label
from imagedrop.target import Target
from pipeline.queries import Query, Sort
from pipeline.records import Record, Road, Status

_TIMES = (
    "a time (2026-11-24, 2026-11-24 06:30; UTC unless it names an offset), a span (30m, 2h, 7d, "
    "1w), today or yesterday"
)


def _refuse_nan(value: float | None) -> float | None:
    """Refuses NaN, which passes every range check and matches no row."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("it must be a number from 0 to 1")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The filters that a person types to select rows; all must match."""

    label: Annotated[str | None, typer.Option(help="Only this label.")] = None
    status: Annotated[
        Status | None, typer.Option(case_sensitive=False, help="Only this status.")
    ] = None
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, callback=_refuse_nan, help="Lowest confidence, included."),
    ] = None
    max_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, callback=_refuse_nan, help="Highest confidence, included."),
    ] = None
    since: Annotated[str | None, typer.Option(help=f"Classified since {_TIMES}.")] = None
    until: Annotated[str | None, typer.Option(help="Classified before such a time.")] = None
    model: Annotated[str | None, typer.Option(help="Only answers of this NAME@VERSION.")] = None
    source: Annotated[
        Road | None, typer.Option(help="Only dropped images, or only those of bulk runs.")
    ] = None
    reviewed: Annotated[
        bool | None,
        typer.Option(
            "--reviewed/--not-reviewed", help="Only images that a person has reviewed, or has not."
        ),
    ] = None
    group: Annotated[str | None, typer.Option(help="Only this group of labels.")] = None
    disagreement: Annotated[
        bool | None,
        typer.Option(
            "--disagreement/--no-disagreement",
            help="Only images to which a candidate gave another label, or did not.",
        ),
    ] = None
    sort: Annotated[
        Sort,
        typer.Option(
            help="The order; most_sure and least_sure leave out images without an answer."
        ),
    ] = Sort.NEWEST

    @property
    def are_given(self) -> bool:
        return any(getattr(self, each.name) != each.default for each in fields(self))

    def query(self) -> Query:
        """Returns the query; prints the moments that the typed times stand for.

        Raises:
            UserError: a time is not one.
        """
        typed = {each.name: getattr(self, each.name) for each in fields(self)}
        moments = {name: moment(name, typed[name]) for name in ("since", "until")}
        return Query(**typed | moments)


def typed_query(text: str, others: Sequence[str]) -> tuple[Query, dict[str, str]]:
    """Reads filters in one text, such as ``label=pug since=7d``; they are those of the API.

    Args:
        others: more names, whose values are returned as they were typed.

    Raises:
        UserError: an unknown name, a malformed value, or no ``name=value``.
    """
    names = [each.name for each in fields(Filters) if each.name != "sort"]
    hint = f'Write --rows "label=pug since=7d"; filters are {", ".join((*names, *others))}.'
    try:
        parts = [each.partition("=") for each in shlex.split(text)]
    except ValueError as error:
        raise UserError(f"--rows cannot be read: {error}.", hint) from error
    given = {name: value for name, _, value in parts}
    if not all(value for _, _, value in parts) or len(given) < len(parts):
        raise UserError("--rows takes each filter once, as name=value.", hint)
    if unknown := sorted(set(given) - set(names) - set(others)):
        raise UserError(f"There is no filter {unknown[0]}.", hint)
    own = {name: value for name, value in given.items() if name in names}
    try:
        query = ListRequest.parse(own, "", datetime.now(UTC)).query
    except InvalidRequestError as error:
        raise UserError(f"--rows: {error}.", hint) from error
    return query, {name: value for name, value in given.items() if name in others}


def matching(target: Target, query: Query, limit: int) -> Iterable[Record]:
    """Returns the rows that match. A label without rows is looked up among the known labels.

    Raises:
        UserError: there is no such label.
    """
    rows = every_record(target, query, limit)
    first = next(rows, None)
    if first is not None:
        return chain([first], rows)
    if query.label is None:
        return ()
    label = find_label(target, query.label)
    if label == query.label:
        return ()
    say(f"There is no label {query.label}: showing {label}.")
    return every_record(target, replace(query, label=label), limit)


def moment(name: str, typed: str | None) -> str | None:
    """Returns the typed time in UTC, and prints it with its local time.

    Raises:
        UserError: it is not a time.
    """
    if typed is None:
        return None
    try:
        taken = parse_since(typed, datetime.now(UTC))
    except InvalidTimeError as error:
        raise UserError(
            f"--{name}: {error}.", "Read more with: imagedrop predictions --help"
        ) from error
    at = datetime.fromisoformat(taken)
    local = at.astimezone()
    here = f" ({local:%Y-%m-%d %H:%M:%S} here)" if local.utcoffset() else ""
    future = ", which is in the future" if at > datetime.now(UTC) else ""
    say(f"{name.capitalize()} {at:%Y-%m-%d %H:%M:%S} UTC{here}{future}.")
    return taken
