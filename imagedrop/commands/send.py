"""``imagedrop send``: upload photos from disk, to be classified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.output import TargetOption, bar, say, with_bar
from imagedrop.predictions import wait_for_rows
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from imagedrop.uploads import Sent, plan_uploads, upload_all
from pipeline.records import Record, Status
from training.data.folders import LeftOut, explain

NAMED = 10  # files that could not be uploaded; the others are counted


@command("imagedrop send photos/ one-more.jpg --wait")
def send(
    paths: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until every photo has its row.")
    ] = False,
    patience_seconds: Annotated[
        float, typer.Option(help="Stop waiting after this time without a new row.", min=1)
    ] = 300,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Upload photos under incoming/; a folder keeps its name and the paths inside it."""
    found = find_target(target)
    uploads, left_out = plan_uploads(paths)
    missing = say_left_out(left_out)
    results = upload_all(found.client("s3"), found.images_bucket, uploads)
    sent = list(with_bar(results, "sent", len(uploads)))
    failures = say_failures(sent)
    if wait:
        arrived = [each for each in sent if not each.error]
        with bar("classified", len(arrived)) as advance:
            rows = wait_for_rows(found, arrived, patience_seconds=patience_seconds, on_rows=advance)
        is_complete = say_rows(arrived, rows)
    else:
        say(f"{len(sent) - failures} sent. Read the results with: imagedrop predictions")
        is_complete = True
    if failures or missing or not is_complete:
        raise typer.Exit(1)


def say_left_out(left_out: Sequence[LeftOut]) -> bool:
    """Prints the files left out, with reasons; True if photos may be missing."""
    for line in explain(left_out):
        say(line)
    return any(each.is_problem for each in left_out)


def say_failures(sent: Sequence[Sent]) -> int:
    """Names the first files that could not be uploaded, counts the others; returns how many."""
    failures = [each for each in sent if each.error]
    for each in failures[:NAMED]:
        say(f"Not uploaded: {each.upload.path}: {each.error}")
    if len(failures) > NAMED:
        say(f"Not uploaded: {len(failures) - NAMED:,} more")
    return len(failures)


def say_rows(arrived: Sequence[Sent], rows: Mapping[str, Record]) -> bool:
    """Prints the photos' results; True if every photo has its row."""
    missing = [each for each in arrived if each.upload.key not in rows]
    for each in missing:
        say(f"No row yet: {each.upload.key}")
    counts = dict.fromkeys(Status, 0)
    for record in rows.values():
        counts[record.status] += 1
    verdicts = ", ".join(f"{count} {status.lower()}" for status, count in counts.items() if count)
    say(f"{len(rows)} rows: {verdicts or 'none'}.")
    if missing:
        say("See the queues with `imagedrop status`, the logs with `imagedrop doctor`.")
    else:
        say("Read them with: imagedrop predictions")
    return not missing
