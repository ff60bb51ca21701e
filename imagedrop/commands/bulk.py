"""``imagedrop bulk``: classify a whole folder, and look at the runs."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from bulk.ledger import Fate
from imagedrop.app import app
from imagedrop.bulk.failures import explain, explain_report
from imagedrop.bulk.flip_pictures import pictures
from imagedrop.bulk.output import print_report, print_runs, print_status
from imagedrop.bulk.reports import run_reports
from imagedrop.bulk.runs import bulk_runs
from imagedrop.commands import bulk_start
from imagedrop.commands.bulk_wait import WaitOption, progress_reader, say_verdict, wait_for
from imagedrop.errors import UserError
from imagedrop.output import TargetOption, say
from imagedrop.target import find_target
from imagedrop.target_name import TargetName

bulk = typer.Typer(
    help="Classify a whole folder at once.", no_args_is_help=True, rich_markup_mode="rich"
)
app.add_typer(bulk, name="bulk")
bulk.command(epilog="Example: imagedrop bulk start s3://my-bucket/photos/ --wait")(bulk_start.start)

RUNS_SHOWN = 20

RunArgument = Annotated[str, typer.Argument(help="The run's name, as `start` printed it.")]


class ReportFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    HTML = "html"


@bulk.command(epilog="Example: imagedrop bulk status photos-20261125t154512 --wait")
def status(
    run: Annotated[
        str | None, typer.Argument(help="The run's name; the newest run by default.")
    ] = None,
    wait: WaitOption = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Show a run's progress or result, why it failed, and the next step."""
    found = find_target(target)
    runs = bulk_runs(found)
    name = run or runs.newest()
    if wait:
        wait_for(found, name)
        return
    execution = runs.last_execution(name)
    report = run_reports(found).find(name)
    print_status(execution, progress_reader(found, name).read(), report)
    say_verdict(explain(execution, report))


@bulk.command("list", epilog="Example: imagedrop bulk list --target aws")
def list_runs(target: TargetOption = TargetName.LOCAL) -> None:
    """Print the newest runs, newest first, with the counts of images by result."""
    found = find_target(target)
    runs, reports = bulk_runs(found), run_reports(found)
    names = list(islice(runs.names(), RUNS_SHOWN))
    if not names:
        say("There are no bulk runs. Start one with: imagedrop bulk start FOLDER")
        return
    print_runs((runs.last_execution(name), reports.find(name)) for name in names)


@bulk.command(
    epilog="Example: imagedrop bulk report photos-20261125t154512 --format html > report.html"
)
def report(
    run: RunArgument,
    format_: Annotated[
        ReportFormat, typer.Option("--format", help="How to print.")
    ] = ReportFormat.TABLE,
    failed: Annotated[
        bool, typer.Option("--failed", help="The failed images by name, as JSON lines.")
    ] = False,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="The rejected images by name, as JSON lines.")
    ] = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print a run's report, or the ledger's lines about failed or rejected images."""
    found_target = find_target(target)
    reports = run_reports(found_target)
    asked = ((failed, Fate.FAILED), (rejected, Fate.REJECTED))
    if fates := {fate for wanted, fate in asked if wanted}:
        # ASCII: a key may hold any character, and JSON escapes it.
        for entry in reports.entries(run, fates):
            print(json.dumps(entry))
    elif format_ is ReportFormat.HTML:
        sys.stdout.write(reports.page(run, pictures(found_target)))
    elif format_ is ReportFormat.JSON:
        print(json.dumps(reports.read(run), indent=2))
    else:
        found = reports.read(run)
        print_report(found)
        if found["status"] != "COMPLETE":
            say_verdict(explain_report(run, found))


@bulk.command(epilog="Example: imagedrop bulk resume photos-20261125t154512")
def resume(run: RunArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Resume a run that was stopped or failed; finished work is not repeated."""
    found = find_target(target)
    runs = bulk_runs(found)
    if run_reports(found).find(run) is not None:
        raise UserError(
            f"{run} has ended, with a report.",
            "To retry failed images, start a new run of the same folder: images that are "
            "classified are skipped.",
        )
    say(f"Started: {runs.resume(run)}")
    say(f"→ Watch it with: imagedrop bulk status {run} --wait")


@bulk.command(epilog="Example: imagedrop bulk stop photos-20261125t154512")
def stop(run: RunArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Stop a run; finished work is kept."""
    bulk_runs(find_target(target)).stop(run)
    say(f"Stopped. Resume it with: imagedrop bulk resume {run}")
