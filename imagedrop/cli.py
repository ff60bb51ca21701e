"""The command line. Exit code 0 only when everything asked for happened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from imagedrop import doctor as checks
from imagedrop.bulk_cli import bulk
from imagedrop.costs import Mode, month_of
from imagedrop.data_cli import register as register_data
from imagedrop.dead_letters_cli import register as register_dead_letters
from imagedrop.demo import run_demo
from imagedrop.errors import UserError
from imagedrop.evaluate_cli import register as register_evaluate
from imagedrop.forget_cli import register as register_forget
from imagedrop.inspect_cli import register as register_inspect
from imagedrop.jobs.cli import register as register_jobs
from imagedrop.local import cloud, environments, places
from imagedrop.local.errors import LocalCloudError
from imagedrop.models_cli import register as register_models
from imagedrop.render import Format, print_costs, print_records, printable
from imagedrop.send import INCOMING_PREFIX, Sent, plan_uploads, upload_all, wait_for_rows
from imagedrop.target import Target, TargetName, find_target
from imagedrop.terminal import TargetOption, console, progress
from imagedrop.train_cli import register as register_train
from imagedrop.tune_cli import register as register_tune
from imagedrop.upload_form_cli import register as register_upload_form
from pipeline.adapters.predictions_table import Query
from pipeline.errors import TransientError
from pipeline.prices import NOTED_ON
from pipeline.records import Record, Status

app = typer.Typer(
    help="Drop images into a bucket; read what they show from a table.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(bulk, name="bulk")

TABLE_ROWS = 50
EXPORT_PAGE_ROWS = 500

FormatOption = Annotated[Format, typer.Option("--format", help="How to print.")]


@app.command(epilog="Example: imagedrop up")
def up(
    deploy: Annotated[
        bool, typer.Option("--deploy/--no-deploy", help="Deploy template.yaml too.")
    ] = True,
) -> None:
    """Start the local cloud and deploy the template in it; once up, it stays until `down`."""
    started = cloud.up(
        places.default_home(),
        deploy=deploy,
        on_step=lambda step: console.print(f"· {escape(step)}"),
    )
    console.print(f"Up at {started.endpoint_url}.", highlight=False)
    if started.outputs:
        console.print("Next: imagedrop send PHOTOS --wait")
    else:
        console.print("Next, for sam and every other AWS tool in this shell:")
        for name, value in environments.settings(started.endpoint_url).items():
            console.print(f"  export {name}={value}", highlight=False)
        console.print("  sam build && sam deploy --config-env local", highlight=False)


@app.command(epilog="Example: imagedrop down")
def down() -> None:
    """Stop the local cloud; bucket, table and stack are kept for the next `up`."""
    if cloud.down(places.default_home()):
        console.print("Stopped. What it holds is kept; `imagedrop up` brings it back.")
    else:
        console.print("Nothing was running.")


@app.command(epilog="Example: imagedrop status --target aws")
def status(target: TargetOption = TargetName.LOCAL) -> None:
    """Say what is deployed, where, and how many messages wait."""
    found = find_target(target)
    for name, value in found.outputs.items():
        console.print(f"{name:24} {escape(value)}", highlight=False)
    for title, queue in (("waiting", "ImagesQueueUrl"), ("dead letters", "DeadLetterQueueUrl")):
        console.print(f"{title:24} {queue_length(found, found.outputs[queue])}", highlight=False)


def queue_length(target: Target, queue_url: str) -> int:
    """Messages in the queue, those being worked on included (SQS calls it approximate)."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = target.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=names
    )["Attributes"]
    return sum(int(attributes[name]) for name in names)


@app.command(epilog="Example: imagedrop send photos/ one-more.jpg --wait")
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
        for each in upload_all(found, uploads):
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


@app.command(
    epilog="Example: imagedrop predictions --label beagle --min-confidence 0.8 --format csv"
)
def predictions(
    key: Annotated[
        str | None, typer.Argument(help="One image: its key, or its name under incoming/.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only this label.")] = None,
    status_: Annotated[Status | None, typer.Option("--status", case_sensitive=False)] = None,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    since: Annotated[
        str | None, typer.Option(help="UTC time, ISO 8601, or its beginning: 2026-11-24T06.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"At most so many; {TABLE_ROWS} in a table, else all."),
    ] = None,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print predictions, newest first."""
    found = find_target(target)
    if key is not None:
        record = find_record(found, key)
        print_records([record], format_)
        return
    query = Query(label=label, status=status_, min_confidence=min_confidence, since=since)
    most = limit or (TABLE_ROWS if format_ is Format.TABLE else sys.maxsize)
    count = print_records(every_record(found, query, most), format_)
    if count == 0:
        console.print("No predictions match.")
    elif limit is None and count == TABLE_ROWS and format_ is Format.TABLE:
        console.print(f"The newest {TABLE_ROWS}; more with --limit.")


def every_record(target: Target, query: Query, most: int) -> Iterator[Record]:
    table = target.predictions_table()
    cursor: str | None = None
    while most > 0:
        page = table.list(query, limit=min(most, EXPORT_PAGE_ROWS), cursor=cursor)
        yield from page.records
        most -= len(page.records)
        cursor = page.cursor
        if cursor is None:
            return


def find_record(target: Target, key: str) -> Record:
    address = f"s3://{target.images_bucket}/"
    table = target.predictions_table()
    bare = key.removeprefix(address)
    for each in dict.fromkeys((bare, INCOMING_PREFIX + bare)):
        record = table.get(key if key.startswith("s3://") else address + each)
        if record is not None:
            return record
    raise UserError(
        f"There is no prediction of {key}.", "List what there is with: imagedrop predictions"
    )


@app.command(epilog="Example: imagedrop cost --images 1000000")
def cost(
    images: Annotated[int, typer.Option(min=1, help="Images a month.")],
    mode: Annotated[
        Mode | None, typer.Option(help="Dropped one by one, or as a bulk run; both by default.")
    ] = None,
) -> None:
    """Say what a month of images costs on AWS, and what of it is paid for what."""
    modes = [mode] if mode else list(Mode)
    print_costs({each: month_of(images, each) for each in modes})
    console.print(
        "US dollars, us-east-1, without free tiers, and without putting images into S3 and "
        f"keeping them. Prices noted on {NOTED_ON}: check before quoting."
    )


@app.command(epilog="Example: imagedrop doctor")
def doctor() -> None:
    """Check this machine and the local cloud; say what to do about what is wrong."""
    results = checks.run_checks()
    for each in results:
        mark = "[green]ok[/]" if each.ok else "[red]!![/]"
        console.print(f"{mark}  {each.name:18} {escape(each.finding)}", highlight=False)
        if each.next_step:
            console.print(f"{'':22} → {escape(each.next_step)}", highlight=False)
    if not all(each.ok for each in results):
        raise typer.Exit(1)


@app.command(epilog="Example: imagedrop demo my-photos/")
def demo(
    images: Annotated[
        Path | None, typer.Argument(help="A folder of photos; the demo's own by default.")
    ] = None,
) -> None:
    """Start a cloud of its own, classify photos in it, print them, and stop it again."""
    if not run_demo(images, console):
        raise typer.Exit(1)


register_forget(app)
register_dead_letters(app)
register_data(app)
register_train(app)
register_evaluate(app)
register_tune(app)
register_upload_form(app)
register_inspect(app)
register_jobs(app)
register_models(app)


def main() -> None:
    try:
        app(standalone_mode=True)
    except UserError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        console.print(f"→ {escape(error.next_step)}", highlight=False)
        sys.exit(1)
    except LocalCloudError as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False)
        sys.exit(1)
    except (ClientError, BotoCoreError, TransientError) as error:
        console.print(f"[red]{escape(printable(str(error)))}[/]", highlight=False)
        console.print("→ See what is deployed with `imagedrop status`; then try again.")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
