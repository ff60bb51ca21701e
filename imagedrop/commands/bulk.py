"""``imagedrop bulk``: a whole folder at once, and the runs there are."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer
from rich.markup import escape

from bulk import prices
from bulk.ledger import Fate
from bulk.list_images import why_ignored
from imagedrop.bulk.failures import explain
from imagedrop.bulk.progress import Phase, Progress, ProgressReader
from imagedrop.bulk.render import (
    print_plan,
    print_report,
    print_runs,
    print_status,
    summary,
    verdict_lines,
)
from imagedrop.bulk.reports import run_reports, work_bucket
from imagedrop.bulk.runs import Execution, bulk_runs, name_run
from imagedrop.bulk.source import (
    LocalFolder,
    S3Folder,
    Source,
    check_source,
    list_local,
    list_source,
    parse_folder,
    source_of,
)
from imagedrop.bulk.wait import follow
from imagedrop.errors import UserError
from imagedrop.estimates.bulk_run import RunSettings, overlong_steps, problems, size_run
from imagedrop.output import TargetOption, console, progress
from imagedrop.target import Target, TargetName, find_target
from imagedrop.text import printable
from imagedrop.uploads import Sent, objects_below, upload_all

bulk = typer.Typer(
    help="Classify a whole folder at once.", no_args_is_help=True, rich_markup_mode="rich"
)

NAMES_SHOWN = 5
RUNS_SHOWN = 20
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(bulk, name="bulk")


DEFAULTS = RunSettings()

RunArgument = Annotated[str, typer.Argument(help="The run's name, as `start` printed it.")]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Until it ends; Ctrl-C stops only the waiting.")
]


class ReportFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    HTML = "html"


@bulk.command(epilog="Example: imagedrop bulk start s3://my-bucket/photos/ --wait")
def start(
    folder: Annotated[
        str, typer.Argument(help="s3://BUCKET/FOLDER/, or a folder on disk, uploaded first.")
    ],
    wait: WaitOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also what this model has classified already.")
    ] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Files to the model as they are, one a request.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how much it is; upload and start nothing.")
    ] = False,
    inventory: Annotated[
        str | None,
        typer.Option(metavar="S3URI", help="List FOLDER by this S3 Inventory (manifest.json)."),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="S3URI", help="Only the keys in this text file, one a line."),
    ] = None,
    instance_type: Annotated[str, typer.Option(help="Machine of the transform job.")] = (
        DEFAULTS.instance_type
    ),
    instance_count: Annotated[int, typer.Option(min=1, help="So many of them.")] = (
        DEFAULTS.instance_count
    ),
    max_concurrent_transforms: Annotated[
        int, typer.Option(min=1, help="Requests at once to each machine.")
    ] = DEFAULTS.max_concurrent_transforms,
    chunk_images: Annotated[int, typer.Option(min=1, help="Images a function call.")] = (
        DEFAULTS.chunk_images
    ),
    shard_images: Annotated[int, typer.Option(min=1, help="Images a request.")] = (
        DEFAULTS.shard_images
    ),
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Classify every image of a folder; what this model has classified already is skipped."""
    settings = RunSettings(
        direct=direct,
        instance_type=instance_type,
        instance_count=instance_count,
        max_concurrent_transforms=max_concurrent_transforms,
        chunk_images=chunk_images,
        shard_images=shard_images,
    )
    for problem in problems(settings):
        raise UserError(*problem)
    found = find_target(target)
    place = parse_folder(folder, found.images_bucket)
    if isinstance(place, LocalFolder) and (inventory or manifest):
        raise UserError(
            "An inventory and a list of keys speak of a folder in S3.",
            "Name it as s3://BUCKET/FOLDER/.",
        )
    s3_folder = place.destination if isinstance(place, LocalFolder) else place
    source = source_of(s3_folder, inventory, manifest)
    if dry_run:
        print_dry_run(found, place, source, settings)
        return
    runs = bulk_runs(found)
    if isinstance(place, LocalFolder):
        upload(found, place)
    else:
        check_source(found.client("s3"), source)
    run = name_run(s3_folder.name, datetime.now(UTC))
    runs.start(run_input(run, source, settings, again=again))
    say(f"Started: {run}")
    if wait:
        wait_for(found, run)
    else:
        say(f"→ Watch it with: imagedrop bulk status {run} --wait")


def say(line: str) -> None:
    """Whole lines, so that the commands in them can be copied."""
    console.print(line, highlight=False, soft_wrap=True)


def run_input(run: str, source: Source, settings: RunSettings, *, again: bool) -> dict[str, Any]:
    """What the workflow is started with; it holds nothing else."""
    return {
        "run": run,
        "source": dict(source),
        "again": again,
        "direct": settings.direct,
        "instance_type": settings.instance_type,
        "instance_count": settings.instance_count,
        "max_concurrent_transforms": settings.max_concurrent_transforms,
        "chunk_images": settings.chunk_images,
        "shard_images": settings.shard_images,
    }


def print_dry_run(
    target: Target, place: LocalFolder | S3Folder, source: Source, settings: RunSettings
) -> None:
    if settings.instance_type not in prices.TRANSFORM_INSTANCE_HOURS:
        raise UserError(
            f"The price of {settings.instance_type} is not known.",
            f"Estimate with one of {', '.join(prices.TRANSFORM_INSTANCE_HOURS)}, or add it to "
            "imagedrop/estimates/prices.py and imagedrop/estimates/bulk_run.py.",
        )
    listing = (
        list_local(place)
        if isinstance(place, LocalFolder)
        else list_source(target.client("s3"), source)
    )
    sizing = size_run(listing.images, settings)
    print_plan(listing, settings, sizing)
    for step in overlong_steps(sizing):
        say(f"[red]Too long: {step}. Raise --chunk-images.[/]")
    say("Nothing was uploaded or started. How this is computed: docs/bulk.md, Sizing.")


def upload(target: Target, folder: LocalFolder) -> None:
    """Uploads what is not there yet, with a progress bar.

    Raises:
        UserError: a file could not be uploaded; the run would miss it.
    """
    if folder.left_out:
        say(
            f"Left out {len(folder.left_out)} hidden or system files, such as "
            f"{escape(printable(str(folder.left_out[0])))}."
        )
    s3, destination = target.client("s3"), folder.destination
    there = objects_below(s3, destination.bucket, destination.prefix)
    done: list[Sent] = []
    try:
        with progress() as bars:
            bar = bars.add_task("uploaded", total=len(folder.uploads))
            for sent in upload_all(s3, destination.bucket, folder.uploads, there):
                bars.advance(bar)
                done.append(sent)
    except KeyboardInterrupt:
        say("No run was started. The same command again uploads what is missing.")
        raise typer.Exit(INTERRUPTED) from None
    failures = [each for each in done if each.error]
    for each in failures[:NAMES_SHOWN]:
        name = escape(printable(str(each.upload.path)))
        say(f"Not uploaded: {name}: {escape(printable(each.error or ''))}")
    if failures:
        raise UserError(
            f"{len(failures):,} files could not be uploaded; no run was started.",
            "Run the same command again: it uploads only what is missing.",
        )
    if kept := sum(not each.is_new for each in done):
        say(f"{kept:,} files are there already.")
    ours = {each.key for each in folder.uploads}
    if elsewhere := [key for key in there if key not in ours and not why_ignored(key)]:
        say(
            f"{len(elsewhere):,} files of {escape(str(destination))} are not on "
            f"this disk and take part too, such as {escape(printable(elsewhere[0]))}."
        )


@bulk.command(epilog="Example: imagedrop bulk status photos-20261125t154512 --wait")
def status(
    run: Annotated[
        str | None, typer.Argument(help="The run's name; the newest run by default.")
    ] = None,
    wait: WaitOption = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Say how far a run is, how it ended and why, and what to do next."""
    found = find_target(target)
    runs = bulk_runs(found)
    name = run or runs.newest()
    if wait:
        wait_for(found, name)
        return
    execution = runs.last_execution(name)
    report = run_reports(found).find(name)
    print_status(execution, progress_reader(found, name).read(), report)
    tell(execution, report)


def progress_reader(target: Target, run: str) -> ProgressReader:
    return ProgressReader(target.client("s3"), work_bucket(target), run)


def tell(execution: Execution, report: dict[str, Any] | None) -> None:
    for line in verdict_lines(explain(execution, report)):
        say(line)


def wait_for(target: Target, run: str) -> None:
    """Until the run ends.

    Raises:
        typer.Exit: it did not end COMPLETE, or the user stopped waiting.
    """
    runs = bulk_runs(target)
    try:
        with progress() as bars:
            tasks = {
                name: bars.add_task(name, total=None)
                for name in ("listed", "prepared", "transformed", "recorded")
            }
            for now in follow(runs, progress_reader(target, run), run):
                for name, (done, total) in bar_values(now).items():
                    bars.update(tasks[name], completed=done, total=total)
    except KeyboardInterrupt:
        say(f"The run goes on. Watch it with: imagedrop bulk status {run} --wait")
        say(f"Stop it with: imagedrop bulk stop {run}")
        raise typer.Exit(INTERRUPTED) from None
    reports = run_reports(target)
    report = reports.find(run)
    if report is not None:
        say(summary(report))
        say(f"Report: {reports.address(run)}")
        say(f"To read it here: imagedrop bulk report {run} --format html > report.html")
    if report is None or report["status"] != "COMPLETE":
        tell(runs.last_execution(run), report)
        raise typer.Exit(1)


def bar_values(now: Progress) -> dict[str, tuple[int, int | None]]:
    """How far each bar is, and where it ends as far as that is known."""
    is_listed = now.phase not in (Phase.STARTING, Phase.LISTING)
    is_prepared = is_listed and now.phase is not Phase.PREPARING
    return {
        "listed": (now.listed, now.listed if is_listed else None),
        "prepared": (now.prepared, now.listed if is_listed else None),
        "transformed": (now.transformed, now.to_transform if is_prepared else None),
        "recorded": (now.recorded, now.listed if is_listed else None),
    }


@bulk.command("list", epilog="Example: imagedrop bulk list --target aws")
def list_runs(target: TargetOption = TargetName.LOCAL) -> None:
    """Print the newest runs, newest first, each with how its images ended."""
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
    """Print a run's report, or what the ledger says of its failed or rejected images."""
    reports = run_reports(find_target(target))
    asked = ((failed, Fate.FAILED), (rejected, Fate.REJECTED))
    if fates := {fate for wanted, fate in asked if wanted}:
        # ASCII: a key may hold anything, and JSON escapes it.
        for entry in reports.entries(run, fates):
            print(json.dumps(entry))
    elif format_ is ReportFormat.HTML:
        sys.stdout.write(reports.page(run))
    elif format_ is ReportFormat.JSON:
        print(json.dumps(reports.read(run), indent=2))
    else:
        print_report(reports.read(run))


@bulk.command(epilog="Example: imagedrop bulk resume photos-20261125t154512")
def resume(run: RunArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Go on with a run that was stopped or broke off; nothing is done twice."""
    found = find_target(target)
    runs = bulk_runs(found)
    if run_reports(found).find(run) is not None:
        raise UserError(
            f"{run} has ended, with a report.",
            "To try failed images again, start a new run of the same folder: what is classified "
            "is skipped.",
        )
    say(f"Started: {runs.resume(run)}")
    say(f"→ Watch it with: imagedrop bulk status {run} --wait")


@bulk.command(epilog="Example: imagedrop bulk stop photos-20261125t154512")
def stop(run: RunArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Stop a run; what it has done is kept."""
    bulk_runs(find_target(target)).stop(run)
    say(f"Stopped. Go on with: imagedrop bulk resume {run}")
