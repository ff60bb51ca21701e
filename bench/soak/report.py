"""`soak.json` and `soak.html`: the disturbances of the pipeline, and the images' results."""

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
from training.reports.axes import Axis
from training.reports.charts import Series, xy_chart
from training.reports.page import render


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
    """Returns the value below which this share is; 0 without values."""
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
    memory = xy_chart(
        [Series("memory", soak.memory_mb)], Axis("time, s"), Axis("memory, MB", low=0)
    )
    template = Path(__file__).with_name("report.html")
    page = render(template, soak=soak, content=content, memory=memory)
    report.write_text(page, encoding="utf-8")
    return report
