"""Queries of the predictions table, and the pages that they return."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.records import Record, Road, Status


class Sort(StrEnum):
    """The order of a listing. The last two leave out images without an answer."""

    NEWEST = "newest"
    OLDEST = "oldest"
    MOST_SURE = "most_sure"
    LEAST_SURE = "least_sure"

    @property
    def descends(self) -> bool:
        return self in (Sort.NEWEST, Sort.MOST_SURE)

    @property
    def by_confidence(self) -> bool:
        return self in (Sort.MOST_SURE, Sort.LEAST_SURE)


class NoSuchOrderError(Exception):
    """The table was deployed without the index of this order; the message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The filters of a listing, which all must match, and its order.

    ``since`` and ``until`` come from ``api.since.parse_since``; ``until`` itself is excluded.
    Deleted images are listed only when ``status`` asks for them. ``reviewed`` concerns the version
    that the row shows, ``disagreement`` whether a candidate has given it another label.
    """

    label: str | None = None
    status: Status | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    since: str | None = None
    until: str | None = None
    model: str | None = None
    source: Road | None = None
    reviewed: bool | None = None
    disagreement: bool | None = None
    group: str | None = None
    sort: Sort = Sort.NEWEST


@dataclass(frozen=True, slots=True)
class Page:
    """Records in the query's order; ``cursor`` is None when there are no more."""

    records: list[Record]
    cursor: str | None
