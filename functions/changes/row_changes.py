"""Changes of the predictions table, from its stream: the counts, and the replaced answers."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archive.crowd import BINS, counted_names
from pipeline.records import Record, Road, Status
from pipeline.table_items import answer_identity, from_item

logger = logging.getLogger(__name__)

# A stream's sequence numbers have 21 to 40 digits:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
SEQUENCE_DIGITS = 40
DAY_LENGTH = len("2026-11-29")
# Suffixes of the day for answers that are counted but were not dropped that day.
BULK, AGAIN = "#bulk", "#again"
HISTORY_FIELDS = (
    *("version", "status", "label", "confidence", "model", "classified_at", "source", "reason"),
)


@dataclass(frozen=True, slots=True)
class RowChange:
    """One write of a row. ``number`` is its sequence number in the stream."""

    number: str
    image: str
    before: Record | None
    after: Record | None

    @property
    def sequence(self) -> str:
        """Orders the changes of a shard, as text."""
        return self.number.zfill(SEQUENCE_DIGITS)

    @property
    def new_answer(self) -> Record | None:
        """Returns the row if its answer was written; reviews and candidates' are beside one."""
        return self.after if _identity(self.before) != _identity(self.after) else None

    @property
    def erases(self) -> bool:
        """Whether everything that the image showed must be erased."""
        return self.after is None or self.after.status is Status.DELETED


def _identity(record: Record | None) -> tuple[str, ...] | None:
    if record is None:
        return None
    return (record.version, answer_identity(record), record.classified_at)


def read_change(event: Mapping[str, Any]) -> RowChange:
    """Reads a record of the stream in Lambda's form.

    Raises:
        Exception: it is no row of the table.
    """
    told = event["dynamodb"]
    return RowChange(
        number=told["SequenceNumber"],
        image=told["Keys"]["image"]["S"],
        before=from_item(told["OldImage"]) if "OldImage" in told else None,
        after=from_item(told["NewImage"]) if "NewImage" in told else None,
    )


def readable_changes(events: Iterable[Mapping[str, Any]]) -> Iterator[RowChange]:
    """Yields the changes. One that cannot be read would hold up its shard for a day."""
    for each in events:
        try:
            yield read_change(each)
        except Exception:
            logger.exception("a change of the table cannot be read and is left out")


def counts_by_day(changes: Iterable[RowChange]) -> dict[str, Counter[str]]:
    """Counts the answers that were written, by UTC day and by the names of the journal.

    Those of bulk runs are counted apart, below the day and BULK, and those to a version that had an
    answer, below the day and AGAIN: both differ from dropped images.
    """
    days: dict[str, Counter[str]] = defaultdict(Counter)
    for each in changes:
        if (answer := each.new_answer) is not None:
            at = answer.classified_at[:DAY_LENGTH] + _crowd(each.before, answer)
            days[at].update(_counted_names(answer))
    return dict(days)


def _crowd(before: Record | None, after: Record) -> str:
    if after.source is Road.BULK:
        return BULK
    if before is None or before.status is Status.DELETED or before.version != after.version:
        return ""
    return AGAIN


def _counted_names(record: Record) -> list[str]:
    names = [f"statuses:{record.status}"]
    for kind, value in (("reasons", record.reason), ("models", record.model)):
        if value is not None:
            names.append(f"{kind}:{value}")
    if record.label is not None and record.confidence is not None:
        size = (record.width, record.height) if record.width and record.height else None
        names += counted_names(record.label, record.confidence, size, record.appearance)
    return names


@dataclass(slots=True)
class Replaced:
    """The effect of a batch on the history.

    Attributes:
        erased: images of which nothing may stay; that is done first.
        records: answers that others replaced.
    """

    erased: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


def replaced(changes: Sequence[RowChange]) -> Replaced:
    """Returns the answers that were replaced, without those that are erased later on."""
    found = Replaced()
    for each in changes:
        if each.erases:
            found.records = [one for one in found.records if one.image != each.image]
            if each.image not in found.erased:
                found.erased.append(each.image)
        elif each.new_answer and each.before and each.before.status is not Status.DELETED:
            found.records.append(each.before)
    return found


def history_json(record: Record) -> dict[str, Any]:
    """Returns an answer in the form of an image's history."""
    return {name: getattr(record, name) for name in HISTORY_FIELDS}


def day_json(day: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Returns a day in the API's form."""
    found: dict[str, Any] = {"day": day, "labels": {}, "statuses": {}, "reasons": {}, "models": {}}
    for name, count in sorted(counts.items()):
        kind, _, value = name.partition(":")
        if kind in found:
            found[kind][value] = count
    found["confidence"] = [counts.get(f"confidence:{each}", 0) for each in range(BINS)]
    return found
