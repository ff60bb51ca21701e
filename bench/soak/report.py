"""`soak.json` and `soak.html`: what was done to the pipeline, and what became of the images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.soak.books import Books
from bench.soak.disturbance import Event
from training.reports.page import Section, line_chart, page, table, text


@dataclass(frozen=True, slots=True)
class Soak:
    """One run."""

    books: Books
    seconds: float
    events: Sequence[Event]
    faults: Mapping[str, Counter[str]]
    """By proxy, then by service and kind."""
    calls: Mapping[str, int]
    """By proxy."""
    sent_again: int
    table_writes: int
    recoveries_seconds: Sequence[float]
    memory_mb: Sequence[tuple[float, float]]

    @property
    def fault_shares(self) -> dict[str, float]:
        """Faults for each call, by proxy; calls that were only slowed down are left out."""
        return {
            proxy: sum(n for kind, n in self.faults[proxy].items() if "latency" not in kind) / calls
            for proxy, calls in self.calls.items()
            if calls
        }

    def to_json(self) -> dict[str, Any]:
        books = asdict(self.books)
        latencies = books.pop("latencies_seconds")
        return {
            "schema": 1,
            "balanced": self.books.are_balanced,
            "seconds": self.seconds,
            **books,
            "latency_seconds": {
                "median": quantile(latencies, 0.5),
                "p95": quantile(latencies, 0.95),
                "max": max(latencies, default=0.0),
            },
            "events": dict(Counter(each.kind for each in self.events)),
            "sent_again": self.sent_again,
            "table_writes": self.table_writes,
            "faults": {proxy: dict(each) for proxy, each in self.faults.items()},
            "calls": dict(self.calls),
            "fault_shares": self.fault_shares,
            "recovery_seconds": {
                "median": quantile(self.recoveries_seconds, 0.5),
                "max": max(self.recoveries_seconds, default=0.0),
            },
        }


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share lies; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def recoveries(events: Sequence[Event], written_at: Sequence[str]) -> list[float]:
    """Seconds from each kill and restart until the next row was written."""
    times = sorted(datetime.fromisoformat(each) for each in written_at)
    found = []
    for event in events:
        at = datetime.fromisoformat(event.at)
        after = next((each for each in times if each > at), None)
        if after is not None:
            found.append((after - at).total_seconds())
    return found


def write_reports(soak: Soak, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = soak.to_json()
    (folder / "soak.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    report = folder / "soak.html"
    report.write_text(_page(soak, content), encoding="utf-8")
    return report


def _page(soak: Soak, content: Mapping[str, Any]) -> str:
    books = soak.books
    verdict = (
        "Every image ended once: none is lost, none was written twice."
        if books.are_balanced
        else "The books are NOT balanced."
    )
    rows = [
        ("versions of images that came in", books.inputs),
        ("classified", books.classified),
        ("rejected", books.rejected),
        ("superseded or deleted", books.superseded_or_deleted),
        ("dead letters", books.dead_letters),
        ("lost or wrong", len(books.wrong)),
        ("duplicate factor", f"{books.duplicate_factor:.4f}"),
        ("events sent again, late or out of order", soak.sent_again),
        ("seconds", round(soak.seconds)),
    ]
    latencies = content["latency_seconds"]
    return page(
        "Soak",
        [
            Section("The books", text(verdict) + table(("", ""), rows)),
            Section("Wrong", table(("key", "what the table says"), books.wrong.items())),
            Section("Done to it", table(("", "times"), content["events"].items())),
            Section(
                "Faults",
                table(
                    ("service and kind", "times"),
                    (item for each in soak.faults.values() for item in sorted(each.items())),
                ),
            ),
            Section(
                "Faults a call",
                table(
                    ("calls to", "calls", "share with a fault"),
                    ((name, soak.calls[name], share) for name, share in soak.fault_shares.items()),
                ),
            ),
            Section("Seconds from drop to row", table(("", "seconds"), latencies.items())),
            Section(
                "Seconds from a kill to the next row",
                table(("", "seconds"), content["recovery_seconds"].items()),
            ),
            Section(
                "Memory of the whole local cloud, MB",
                line_chart({"MB": list(soak.memory_mb)}, "seconds", "MB"),
            ),
        ],
    )
