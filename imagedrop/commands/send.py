"""``imagedrop send``: photos from disk into the bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from imagedrop.output import TargetOption, console, progress
from imagedrop.target import TargetName, find_target
from imagedrop.text import printable
from imagedrop.uploads import Sent, plan_uploads, upload_all, wait_for_rows
from pipeline.records import Record, Status


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: imagedrop send photos/ one-more.jpg --wait")(send)


def send(
    paths: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until every photo has its row.")] = False,
    patience_seconds: Annotated[
        float, typer.Option(help="Give up after so long without a new row.", min=1)
    ] = 300,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Upload photos under incoming/; a folder keeps its name and the paths inside it."""
    found = find_target(target)
    uploads, left_out = plan_uploads(paths)
    if left_out:
        console.print(f"Left out {len(left_out)} hidden or system files, such as {left_out[0]}.")
    with progress() as bars:
        bar = bars.add_task("sent", total=len(uploads))
        sent = []
        for each in upload_all(found.client("s3"), found.images_bucket, uploads):
            sent.append(each)
            bars.advance(bar)
        failures = [each for each in sent if each.error]
        rows: dict[str, Record] = {}
        if wait:
            bar = bars.add_task("classified", total=len(sent) - len(failures))
            rows = wait_for_rows(
                found,
                sent,
                patience_seconds=patience_seconds,
                on_rows=lambda count: bars.advance(bar, count),
            )
    complete = report_sent(sent, rows if wait else None)
    if not complete:
        raise typer.Exit(1)


def report_sent(sent: list[Sent], rows: dict[str, Record] | None) -> bool:
    """Says how it ended; True when everything asked for happened."""
    failures = [each for each in sent if each.error]
    for each in failures:
        console.print(f"Not sent: {escape(str(each.upload.path))}: {escape(each.error or '')}")
    if rows is None:
        console.print(f"{len(sent) - len(failures)} sent. Read on with: imagedrop predictions")
        return not failures
    missing = [each for each in sent if not each.error and each.upload.key not in rows]
    for each in missing:
        console.print(f"No row yet: {escape(printable(each.upload.key))}")
    counts = dict.fromkeys(Status, 0)
    for record in rows.values():
        counts[record.status] += 1
    verdicts = ", ".join(f"{count} {status.lower()}" for status, count in counts.items() if count)
    console.print(f"{len(rows)} rows: {verdicts or 'none'}.")
    if missing:
        console.print("See the queues with `imagedrop status`, the logs with `imagedrop doctor`.")
    else:
        console.print("Read them with: imagedrop predictions")
    return not failures and not missing
