"""Queries of the predictions table, and the pages that they return."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.records import Record, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The filters of a listing, newest first. ``since`` comes from ``pipeline.since.parse_since``.

    Deleted images are listed only when ``status`` asks for them.
    """

    label: str | None = None
    status: Status | None = None
    min_confidence: float | None = None
    since: str | None = None

    def matches(self, record: Record) -> bool:
        if self.status is None and record.status is Status.DELETED:
            return False
        if self.status is not None and record.status is not self.status:
            return False
        return self.min_confidence is None or (
            record.confidence is not None and record.confidence >= self.min_confidence
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Records, newest first; ``cursor`` is None when there are no more."""

    records: list[Record]
    cursor: str | None
