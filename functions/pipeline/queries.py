"""What can be asked of the predictions table, and how its pages come back."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.records import Record, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to list, newest first. ``since`` is what ``pipeline.since.parse_since`` returns.

    Images that were deleted are only listed when ``status`` asks for them.
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
