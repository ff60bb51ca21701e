"""Bulk runs on the screen: tables on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bulk.plan_transform import MEBIBYTE
from imagedrop.bulk.failures import Verdict
from imagedrop.bulk.progress import Progress
from imagedrop.bulk.runs import Execution
from imagedrop.bulk.source import Listing
from imagedrop.estimates.bulk_run import RunSettings, Sizing, duration
from imagedrop.text import printable

COUNTS = ("listed", "classified", "rejected", "skipped", "failed", "ignored", "unaccounted")
LABELS_SHOWN = 10


def print_plan(listing: Listing, settings: RunSettings, sizing: Sizing) -> None:
    seconds = {phase: duration(each) for phase, each in sizing.phase_seconds.items() if each >= 1}
    dollars = {what: f"${each:,.2f}" for what, each in sizing.cost_dollars.items() if each >= 0.01}
    rows = [
        ("images", f"{listing.images:,}"),
        ("left out", f"{listing.ignored:,} (system files, hidden files, folder markers)"),
        ("bytes", f"{listing.bytes:,}" if listing.bytes else "not told by the source"),
        ("chunks", f"{sizing.chunks:,} of {settings.chunk_images:,} images"),
    ]
    if not settings.direct:
        rows.append(("shards", f"{sizing.shards:,} of {settings.shard_images:,} images"))
    rows += [
        (
            "requests",
            f"{sizing.payload_bytes / MEBIBYTE:.1f} MiB at most, "
            f"{settings.requests_at_once} at once an instance",
        ),
        ("instances", f"{settings.instance_count} of {settings.instance_type}"),
        ("time on AWS", f"about {duration(sizing.seconds)}: {_parts(seconds)}"),
        ("cost on AWS", f"about ${sizing.dollars:,.2f}: {_parts(dollars)}"),
    ]
    print_pairs(rows)


def _parts(parts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items()) or "nothing to speak of"


def print_status(
    execution: Execution, progress: Progress, report: Mapping[str, Any] | None
) -> None:
    counts = (
        [(name, f"{report[name]:,}") for name in COUNTS]
        if report
        else [
            ("listed", f"{progress.listed:,}"),
            ("prepared", f"{progress.prepared:,}"),
            ("transformed", f"{progress.transformed:,} of {progress.to_transform:,}"),
            ("recorded", f"{progress.recorded:,}"),
        ]
    )
    print_pairs(
        [
            ("run", execution.run),
            ("execution", f"{execution.name} {execution.status}"),
            ("started", f"{execution.started_at:%Y-%m-%d %H:%M:%S %Z}"),
            ("phase", f"{progress.phase}{', second round' if progress.round else ''}"),
            *counts,
        ]
    )


def print_runs(rows: Iterable[tuple[Execution, Mapping[str, Any] | None]]) -> None:
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("run", no_wrap=True)  # to be copied; it ends with the time it was started
    table.add_column("status", no_wrap=True)
    table.add_column("images", overflow="fold")
    for execution, report in rows:
        status = report["status"] if report else str(execution.status)
        table.add_row(
            escape(printable(execution.run)),
            status,
            counted(report) if report else "",
            style="" if status in ("COMPLETE", "RUNNING") else "yellow",
        )
    Console().print(table)


def print_report(report: Mapping[str, Any]) -> None:
    rate = report["images_per_second"]
    labels = list(report["labels"].items())
    more = len(labels) - LABELS_SHOWN
    print_pairs(
        [
            ("run", report["run"]),
            ("status", report["status"]),
            ("model", report["model"]),
            ("time", f"{duration(report['seconds'])}, {rate or 0:,.1f} images/s over all"),
            *((name, f"{report[name]:,}") for name in COUNTS),
            *(
                (f"{title}: {reason}", f"{count:,}")
                for title, name in (
                    ("rejected", "rejections"),
                    ("skipped", "skips"),
                    ("failed attempts", "failures"),
                )
                for reason, count in report[name].items()
            ),
            *((f"label {label}", f"{count:,}") for label, count in labels[:LABELS_SHOWN]),
            *([("labels", f"{more} more, in --format json")] if more > 0 else []),
            *(
                (f"{what}, estimated", f"${dollars:,.4f}")
                for what, dollars in report["estimated_cost_dollars"].items()
            ),
            ("ledger", report["ledger"]),
        ]
    )


def summary(report: Mapping[str, Any]) -> str:
    """One sentence: how many images, and how each of them ended."""
    return f"{report['status']}: {counted(report)}."


def counted(report: Mapping[str, Any]) -> str:
    parts = [f"{report[name]:,} {name}" for name in COUNTS[1:] if report[name]]
    return f"{report['listed']:,} listed: {', '.join(parts) or 'nothing to do'}"


def verdict_lines(verdict: Verdict) -> list[str]:
    """What is wrong, if anything, and what to do next; ready for the terminal."""
    reason = [f"[red]{escape(printable(verdict.reason))}[/]"] if verdict.reason else []
    return [*reason, f"→ {escape(printable(verdict.next_step))}"]


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Name and value a line; a value from a stranger cannot move the cursor."""
    pairs = [(printable(name), printable(value)) for name, value in rows]
    width = max(len(name) for name, _ in pairs)
    console = Console(highlight=False, soft_wrap=True)  # addresses stay whole, to be copied
    for name, value in pairs:
        console.print(f"[bold]{escape(name):{width + 2}}[/]{escape(value)}")
