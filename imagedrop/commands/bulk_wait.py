"""Waits for a bulk run with progress bars, for `bulk start` and `bulk status`."""

from __future__ import annotations

from typing import Annotated

import typer

from bulk.progress import Phase, Progress, ProgressReader
from imagedrop.bulk.failures import Verdict, explain
from imagedrop.bulk.output import summary
from imagedrop.bulk.progress import follow_run
from imagedrop.bulk.reports import run_reports, work_bucket
from imagedrop.bulk.runs import bulk_runs
from imagedrop.output import exit_on_interrupt, progress, say
from imagedrop.target import Target

WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait until it ends; Ctrl-C stops only the waiting.")
]


def wait_for(target: Target, run: str) -> None:
    """Shows a run's progress until it ends, and then its result.

    Raises:
        typer.Exit: it did not end COMPLETE, or the user stopped waiting.
    """
    runs = bulk_runs(target)
    with (
        exit_on_interrupt(
            f"The run continues. Watch it with: imagedrop bulk status {run} --wait",
            f"Stop it with: imagedrop bulk stop {run}",
        ),
        progress() as bars,
    ):
        tasks = {
            name: bars.add_task(name, total=None)
            for name in ("listed", "prepared", "transformed", "recorded")
        }
        for now in follow_run(runs, progress_reader(target, run), run):
            for name, (done, total) in bar_values(now).items():
                bars.update(tasks[name], completed=done, total=total)
    reports = run_reports(target)
    report = reports.find(run)
    if report is not None:
        say(summary(report))
        say(f"Report: {reports.address(run)}")
        say(f"To read it here: imagedrop bulk report {run} --format html > report.html")
    if report is None or report["status"] != "COMPLETE":
        say_verdict(explain(runs.last_execution(run), report))
        raise typer.Exit(1)


def progress_reader(target: Target, run: str) -> ProgressReader:
    """Returns a reader of the run's files in the work bucket."""
    return ProgressReader(target.client("s3"), work_bucket(target), run)


def say_verdict(verdict: Verdict) -> None:
    """Prints the problem of a run, if there is one, and the next step."""
    if verdict.reason:
        say(verdict.reason, "red")
    say(f"→ {verdict.next_step}")


def bar_values(now: Progress) -> dict[str, tuple[int, int | None]]:
    """Returns the position of each bar, and its end as far as that is known."""
    is_listed = now.phase not in (Phase.STARTING, Phase.LISTING)
    is_prepared = is_listed and now.phase is not Phase.PREPARING
    return {
        "listed": (now.listed, now.listed if is_listed else None),
        "prepared": (now.prepared, now.listed if is_listed else None),
        "transformed": (now.transformed, now.to_transform if is_prepared else None),
        "recorded": (now.recorded, now.listed if is_listed else None),
    }
