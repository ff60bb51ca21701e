"""Print bulk runs as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Column

from bulk.plan_transform import MEBIBYTE
from bulk.progress import Progress
from imagedrop.bulk.runs import Execution
from imagedrop.bulk.source import Listing
from imagedrop.estimates.bulk_run import RunSettings, Sizing, duration
from imagedrop.output import print_pairs, print_table

COUNTS = ("listed", "classified", "rejected", "skipped", "failed", "ignored", "unaccounted")
LABELS_SHOWN = 10


def print_plan(listing: Listing, settings: RunSettings, sizing: Sizing) -> None:
    """Prints the size, time and cost of a run that is not started."""
    seconds = {phase: duration(each) for phase, each in sizing.phase_seconds.items() if each >= 1}
    dollars = {what: f"${each:,.2f}" for what, each in sizing.cost_dollars.items() if each >= 0.01}
    rows = [
        ("images", f"{listing.images:,}"),
        ("left out", f"{listing.ignored:,} (hidden and system files and folders, folder markers)"),
        ("bytes", f"{listing.bytes:,}" if listing.bytes else "unknown: the source has no sizes"),
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
    return ", ".join(f"{name} {value}" for name, value in parts.items()) or "almost nothing"


def print_status(
    execution: Execution, progress: Progress, report: Mapping[str, Any] | None
) -> None:
    """Prints a run's progress, or the counts of its report."""
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
    """Prints runs with status and counts."""
    print_table(
        (
            Column("run", no_wrap=True),  # to be copied; it ends with the time of its start
            Column("status", no_wrap=True),
            Column("images", overflow="fold"),
        ),
        (
            (
                execution.run,
                report["status"] if report else execution.status,
                counted(report) if report else "",
            )
            for execution, report in rows
        ),
        style=lambda cells: "" if cells[1] in ("COMPLETE", "RUNNING") else "yellow",
    )


def print_report(report: Mapping[str, Any]) -> None:
    """Prints a run's report."""
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
                    ("ignored", "ignored_reasons"),
                    ("rejected", "rejections"),
                    ("skipped", "skips"),
                    ("failed attempts", "failures"),
                )
                for reason, count in report.get(name, {}).items()
            ),
            *(
                (f"transform job {job['status']}", " ".join(_job_words(job)))
                for job in report["transform_jobs"]
                if job.get("reason")
            ),
            *_comparison_pairs(report.get("comparison")),
            *((f"label {label}", f"{count:,}") for label, count in labels[:LABELS_SHOWN]),
            *([("labels", f"{more} more, in --format json")] if more > 0 else []),
            *(
                (f"{what}, estimated", f"${dollars:,.4f}")
                for what, dollars in report["estimated_cost_dollars"].items()
            ),
            *(
                [("ignored names", report["ignored_names"])]
                if report.get("ignored_reasons")
                else []
            ),
            ("ledger", report["ledger"]),
        ]
    )


def _comparison_pairs(comparison: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if comparison is None:
        return
    yield "same label", f"{comparison['agreed']:,} of {comparison['compared']:,}"
    if comparison["reviewed"]:
        for side, share in comparison["accuracy"].items():
            ece = comparison["calibration"][side]["ece"]
            error = "" if ece is None else f", calibration error {ece:.3f}"
            yield f"right, {side}", f"{share:.1%} of {comparison['reviewed']:,} reviewed{error}"
    flips = comparison["flips"]
    for each in flips[:LABELS_SHOWN]:
        yield f"flip {each['from']} → {each['to']}", f"{each['count']:,}"
    if len(flips) > LABELS_SHOWN:
        yield "flips", f"{len(flips) - LABELS_SHOWN} more pairs, in --format json"


def _job_words(job: Mapping[str, Any]) -> Iterator[str]:
    """Yields the job's name, and why it failed or was not made."""
    yield job["name"]
    if job.get("error"):  # absent in reports of 0.2 and before
        yield f"{job['error']}:"
    yield job["reason"]


def summary(report: Mapping[str, Any]) -> str:
    """Returns one sentence with the counts of images by result."""
    return f"{report['status']}: {counted(report)}."


def counted(report: Mapping[str, Any]) -> str:
    """Returns the counts of a report's images by result."""
    parts = [f"{report[name]:,} {name}" for name in COUNTS[1:] if report[name]]
    if comparison := report.get("comparison"):
        parts.append(f"{comparison['agreed']:,} with the same label as their rows")
    return f"{report['listed']:,} listed: {', '.join(parts) or 'nothing to do'}"
