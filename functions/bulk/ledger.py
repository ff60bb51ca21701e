"""The ledger: each listed image's result by name, and the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from bulk.run import LAST_ROUND, BulkRun
from pipeline.records import Record, Road, Status

HISTOGRAM_BINS = 20
EXAMPLES = 200  # named in the file of a chunk and in a report; the ledger names all images


class Fate(StrEnum):
    """An image's result. ``resubmitted`` is not final: the next round adds another line."""

    CLASSIFIED = "classified"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    FAILED = "failed"
    RESUBMITTED = "resubmitted"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger."""

    key: str
    version: str | None
    fate: Fate
    label: str | None = None
    confidence: float | None = None
    reason: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Entry:
        return cls(**{**value, "fate": Fate(value["fate"])})

    def to_json(self) -> dict[str, Any]:
        # Not asdict(), which copies each value deeply: a step writes a chunk of these lines.
        return {name: getattr(self, name) for name in _ENTRY_NAMES}

    def ended(self) -> Entry:
        """Returns the entry for the last round, in which a resubmitted image has failed."""
        return replace(self, fate=Fate.FAILED) if self.fate is Fate.RESUBMITTED else self


_ENTRY_NAMES = tuple(each.name for each in fields(Entry))


def failed(key: str, version: str | None, reason: str, round_: int) -> Entry:
    fate = Fate.RESUBMITTED if round_ < LAST_ROUND else Fate.FAILED
    return Entry(key, version, fate, reason=reason)


def known_already(record: Record, run: BulkRun) -> Entry | None:
    """Returns the entry of an image that needs no work, by its row; None if it needs work.

    A row that this run has written, before it was stopped or in its first round, counts as its
    result. An older one is skipped, unless the run classifies everything again.
    """
    is_current = record.status is Status.REJECTED or (
        record.status is Status.CLASSIFIED and record.model == run.model
    )
    if not is_current:
        return None
    if record.source is Road.BULK and record.classified_at >= run.started_at:
        return entry_of(record)
    if run.again:
        return None
    return Entry(record.key, record.version, Fate.SKIPPED, reason="already_classified")


def entry_of(record: Record) -> Entry:
    fate = Fate.CLASSIFIED if record.status is Status.CLASSIFIED else Fate.REJECTED
    return Entry(record.key, record.version, fate, record.label, record.confidence, record.reason)


@dataclass(slots=True)
class Sums:
    """Totals over some images; the sum of all chunks' totals is the run's."""

    listed: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    histogram: list[int] = field(default_factory=lambda: [0] * HISTOGRAM_BINS)
    rejections: Counter[str] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    rejected_examples: list[dict[str, Any]] = field(default_factory=list)
    failed_examples: list[dict[str, Any]] = field(default_factory=list)
    shards: int = 0
    prepare_seconds: float = 0.0
    record_seconds: float = 0.0

    @classmethod
    def of(cls, listed: int, entries: Iterable[Entry]) -> Sums:
        sums = cls(listed=listed)
        for entry in entries:
            sums.count(entry)
        return sums

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Sums:
        counters = ("fates", "labels", "rejections", "skips", "failures")
        return cls(**{**value, **{name: Counter(value[name]) for name in counters}})

    def to_json(self) -> dict[str, Any]:
        # Not asdict(): until Python 3.12 it breaks counters.
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def count(self, entry: Entry) -> None:
        self.fates[entry.fate] += 1
        reason = entry.reason or ""
        match entry.fate:
            case Fate.CLASSIFIED:
                self.labels[entry.label or ""] += 1
                bin_ = min(int((entry.confidence or 0.0) * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)
                self.histogram[bin_] += 1
            case Fate.REJECTED:
                self.rejections[reason] += 1
                self._example(self.rejected_examples, entry)
            case Fate.SKIPPED:
                self.skips[reason] += 1
            case Fate.FAILED | Fate.RESUBMITTED:
                self.failures[reason] += 1
                if entry.fate is Fate.FAILED:
                    self._example(self.failed_examples, entry)

    def _example(self, examples: list[dict[str, Any]], entry: Entry) -> None:
        if len(examples) < EXAMPLES:
            examples.append({"key": entry.key, "reason": entry.reason})

    def add(self, other: Sums) -> None:
        self.listed += other.listed
        for name in ("fates", "labels", "rejections", "skips", "failures"):
            getattr(self, name).update(getattr(other, name))
        self.histogram = [a + b for a, b in zip(self.histogram, other.histogram, strict=True)]
        for name in ("rejected_examples", "failed_examples"):
            mine = getattr(self, name)
            mine += getattr(other, name)[: EXAMPLES - len(mine)]
        self.shards += other.shards
        self.prepare_seconds += other.prepare_seconds
        self.record_seconds += other.record_seconds
