"""``imagedrop dead-letters``: what was given up, why, and the way back."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from imagedrop.dead_letters import DeadLetters, Letter, each_once
from imagedrop.errors import UserError
from imagedrop.output import TargetOption, console, progress
from imagedrop.render import Format
from imagedrop.target import Target, TargetName, find_target
from imagedrop.text import printable

letters = typer.Typer(
    help="Look at images that were given up, and send them back.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
COLUMNS = (
    "message_id",
    "images",
    "versions",
    "reason",
    "detail",
    "attempts",
    "first_tried_at",
    "since",
    "logged_as",
)
RATE = 20.0  # a second: what ClassifyFunction takes beside its ordinary work

ReasonOption = Annotated[
    str | None, typer.Option(help="Only those that failed for this; see the list.")
]
KeyOption = Annotated[
    str | None, typer.Option(help="Only this one: a key, an s3:// address, or a message's id.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(letters, name="dead-letters")


@letters.command("list", epilog="Example: imagedrop dead-letters list --reason SlowDown")
def list_command(
    reason: ReasonOption = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """List them: image, reason, tries, age. They stay where they are."""
    box = _box(find_target(target))
    with console.status("Looking"):
        expected, found = box.count(), box.all()
    _print([each for each in each_once(found) if reason in (None, each.reason)], format_)
    if not found and not expected:
        console.print("There are no dead letters.")
    _tell_unseen(expected - len(found))


@letters.command("show", epilog="Example: imagedrop dead-letters show incoming/dog.jpg")
def show_command(
    which: Annotated[str, typer.Argument(help="A key, an s3:// address, or a message's id.")],
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print everything about one, as JSON."""
    with console.status("Looking"):
        found = [each for each in _box(find_target(target)).all() if each.speaks_of(which)]
    if not found:
        raise UserError(
            f"No dead letter speaks of {printable(which)}.", "See all: imagedrop dead-letters list"
        )
    for each in found:
        print(json.dumps(each.to_json(), indent=1, ensure_ascii=False))


@letters.command("redrive", epilog="Example: imagedrop dead-letters redrive --reason SlowDown")
def redrive_command(
    reason: ReasonOption = None,
    key: KeyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    rate: Annotated[float, typer.Option(help="Letters a second at most.", min=0.1)] = RATE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Send them back to be classified. Doing it twice changes nothing."""
    box = _box(find_target(target))
    seen: set[str] = set()

    def matches(letter: Letter) -> bool:
        seen.add(letter.message_id)
        return reason in (None, letter.reason) and (key is None or letter.speaks_of(key))

    expected = box.count()
    if dry_run:
        chosen = [each for each in box.all() if matches(each)]
        _print(chosen, Format.TABLE)
        console.print(f"{len(chosen)} would be sent back; nothing was.")
    else:
        with progress() as bars:
            bar = bars.add_task("sent back", total=expected)
            sent = box.redrive(matches, rate, lambda _: bars.advance(bar))
            bars.update(bar, total=sent)
        console.print(f"{sent} sent back. Their rows: imagedrop predictions", highlight=False)
        if key is not None and not sent:
            raise UserError(
                f"No dead letter speaks of {printable(key)}.",
                "See all: imagedrop dead-letters list",
            )
    if _tell_unseen(expected - len(seen)):
        raise typer.Exit(1)


def _tell_unseen(count: int) -> bool:
    """Says so when SQS's estimate is above what came; whether it was."""
    if count > 0:
        console.print(
            f"[yellow]About {count} more were not seen:[/] somebody else looks at them, or there "
            "are too many for one look. Try again in five minutes."
        )
    return count > 0


def _box(found: Target) -> DeadLetters:
    return DeadLetters(
        found.client("sqs"), found.outputs["DeadLetterQueueUrl"], found.outputs["ImagesQueueUrl"]
    )


def _print(found: Sequence[Letter], format_: Format) -> None:
    if format_ is Format.JSONL:
        for each in found:
            print(json.dumps(each.to_json(), ensure_ascii=False))
    elif format_ is Format.CSV:
        writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for each in found:
            row = each.to_json()
            writer.writerow(
                row | {"images": " ".join(row["images"]), "versions": " ".join(row["versions"])}
            )
    elif found:
        table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
        table.add_column("image", overflow="fold", ratio=1)
        table.add_column("reason", overflow="fold")
        table.add_column("tries", justify="right")
        table.add_column("age", justify="right", no_wrap=True)
        for each in found:
            for name in each.names:
                table.add_row(
                    escape(printable(name)),
                    escape(printable(each.reason)),
                    str(each.attempts or "?"),
                    _age(each.since),
                )
        Console().print(table)


def _age(since: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
