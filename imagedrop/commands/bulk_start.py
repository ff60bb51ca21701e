"""``imagedrop bulk start``: upload a folder if it is on disk, and start a run over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bulk.list_images import why_ignored
from imagedrop.bulk.output import print_plan
from imagedrop.bulk.runs import bulk_runs, name_run
from imagedrop.bulk.source import (
    Listing,
    LocalFolder,
    S3Folder,
    Source,
    check_source,
    list_local,
    list_source,
    parse_folder,
    source_of,
)
from imagedrop.commands.bulk_compare import count_rows, rows_to_compare
from imagedrop.commands.bulk_wait import WaitOption, wait_for
from imagedrop.commands.options import options_of, takes
from imagedrop.commands.send import say_failures, say_left_out
from imagedrop.errors import UserError
from imagedrop.estimates import prices
from imagedrop.estimates.bulk_run import RunSettings, overlong_steps, problems, size_run
from imagedrop.output import TargetOption, exit_on_interrupt, say, with_bar
from imagedrop.target import Target, find_target
from imagedrop.target_name import TargetName
from imagedrop.uploads import objects_below, upload_all


@takes(options_of(RunSettings))
def start(
    folder: Annotated[
        str | None,
        typer.Argument(help="s3://BUCKET/FOLDER/, or a folder on disk, which is uploaded first."),
    ] = None,
    wait: WaitOption = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Also classify images that this model has classified already."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only print size, time and cost; upload and start nothing."),
    ] = False,
    inventory: Annotated[
        str | None,
        typer.Option(metavar="S3URI", help="List FOLDER by this S3 Inventory (manifest.json)."),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="S3URI", help="Only the keys in this text file, one a line."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(metavar="FILTERS", help='Rows instead of a folder: "label=pug since=7d".'),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME@VERSION", help="The candidate of --compare.")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Compare a candidate with the rows, and change no row."),
    ] = False,
    *,
    target: TargetOption = TargetName.LOCAL,
    **settings_given: Any,
) -> None:
    """Classify every image of a folder; images that this model has classified are skipped.

    With --rows, --model and --compare: see how another model answers images that have a row.
    """
    settings = RunSettings(**settings_given)
    for problem in problems(settings):
        raise UserError(*problem)
    if rows is not None or model is not None or compare:
        if folder is not None or again or inventory or manifest or settings.direct:
            raise UserError(
                "--rows reads the image versions in the rows.",
                "Leave out FOLDER, --again, --inventory, --manifest and --direct.",
            )
        start_comparison(find_target(target), rows, model, settings, compare, dry_run, wait)
        return
    if folder is None:
        raise UserError("FOLDER is missing.", "imagedrop bulk start FOLDER, or --rows FILTERS")
    found = find_target(target)
    given = parse_folder(folder, found.images_bucket)
    if isinstance(given, LocalFolder) and (inventory or manifest):
        raise UserError(
            "--inventory and --manifest need a folder in S3.", "Give it as s3://BUCKET/FOLDER/."
        )
    s3_folder = given.destination if isinstance(given, LocalFolder) else given
    source = source_of(s3_folder, inventory, manifest)
    is_missing = isinstance(given, LocalFolder) and say_left_out(given.left_out)
    if dry_run:
        print_dry_run(lambda: listing_of(found, given, source), settings)
        raise typer.Exit(is_missing)
    runs = bulk_runs(found)
    if isinstance(given, LocalFolder):
        is_missing |= upload(found, given)
    else:
        check_source(found.client("s3"), source)
    run = name_run(s3_folder.name, datetime.now(UTC))
    runs.start(run_input(run, source, settings, again=again))
    say_started(found, run, wait=wait)
    if is_missing:
        raise typer.Exit(1)


def start_comparison(
    found: Target,
    rows: str | None,
    model: str | None,
    settings: RunSettings,
    compare: bool,
    dry_run: bool,
    wait: bool,
) -> None:
    """Starts a run that compares a candidate's answers with those of the rows.

    Raises:
        UserError: an option is missing, or there is nothing to compare.
    """
    if rows is None or model is None or not compare:
        raise UserError(
            "Give --rows, --model and --compare together: a comparison changes no row.",
            "To change the rows' answers, promote the model, then: imagedrop reprocess",
        )
    if dry_run:
        print_dry_run(lambda: count_rows(found, rows, model), settings, compares=True)
        return
    runs = bulk_runs(found)
    run, source, candidate = rows_to_compare(found, rows, model)
    runs.start(run_input(run, source, settings, again=True) | {"candidate": candidate})
    say_started(found, run, wait=wait)


def say_started(found: Target, run: str, *, wait: bool) -> None:
    """Prints a run's name, and waits for it if asked to."""
    say(f"Started: {run}")
    if wait:
        wait_for(found, run)
    else:
        say(f"→ Watch it with: imagedrop bulk status {run} --wait")


def run_input(run: str, source: Source, settings: RunSettings, *, again: bool) -> dict[str, Any]:
    """Returns the input of the workflow."""
    return {
        "run": run,
        "source": dict(source),
        "again": again,
        **asdict(settings),
    }


def listing_of(target: Target, folder: LocalFolder | S3Folder, source: Source) -> Listing:
    """Counts the files of a folder on disk, or lists it in S3."""
    if isinstance(folder, LocalFolder):
        return list_local(folder)
    return list_source(target.client("s3"), source)


def print_dry_run(
    look: Callable[[], Listing], settings: RunSettings, *, compares: bool = False
) -> None:
    """Prints the size, time and cost of a run.

    Raises:
        UserError: the instance type's price is not known, or the source cannot be listed.
    """
    if settings.instance_type not in prices.TRANSFORM_INSTANCE_HOURS:
        raise UserError(
            f"The price of {settings.instance_type} is not known.",
            f"Estimate with one of {', '.join(prices.TRANSFORM_INSTANCE_HOURS)}, or add it to "
            "imagedrop/estimates/prices.py and imagedrop/estimates/bulk_run.py.",
        )
    listing = look()
    sizing = size_run(listing.images, settings, compares=compares)
    print_plan(listing, settings, sizing)
    for step in overlong_steps(sizing):
        say(f"Too long: {step}. Raise --chunk-images.", "red")
    say("Nothing was uploaded or started. How this is computed: docs/bulk.md, Sizing.")


def upload(target: Target, folder: LocalFolder) -> bool:
    """Uploads the files that are not there yet, with a progress bar.

    Returns whether files are missing because they cannot be read; they are named.

    Raises:
        UserError: S3 refused a file, which the run would miss, or no file can be read.
        typer.Exit: the user pressed Ctrl-C.
    """
    s3, destination = target.client("s3"), folder.destination
    there = objects_below(s3, destination.bucket, destination.prefix)
    with exit_on_interrupt("No run was started. The same command uploads what is missing."):
        results = upload_all(s3, destination.bucket, folder.uploads, there)
        done = list(with_bar(results, "uploaded", len(folder.uploads)))
    failures = say_failures(done)
    unreadable = [each.upload for each in done if each.is_unreadable]
    if failures > len(unreadable) or len(unreadable) == len(done):
        raise UserError(
            f"{failures:,} files could not be uploaded; no run was started.",
            "Run the same command again: it uploads only what is missing.",
        )
    if earlier := [each.key for each in unreadable if each.key in there]:
        say(
            f"{len(earlier):,} of them were uploaded before, and take part as they were, such as "
            f"{earlier[0]}."
        )
    if kept := sum(not each.is_new for each in done):
        say(f"{kept:,} files are there already.")
    ours = {each.key for each in folder.uploads}
    others = [key for key in there if key not in ours]
    if others := [key for key in others if not why_ignored(key, destination.prefix)]:
        say(
            f"{len(others):,} files of {destination} are not on this disk and take part too, "
            f"such as {others[0]}."
        )
    return bool(unreadable)
