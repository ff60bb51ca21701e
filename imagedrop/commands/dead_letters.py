"""``imagedrop dead-letters``: list images that could not be classified, and send them back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.app import app
from imagedrop.dead_letters import DeadLetter, dead_letters_of, without_repeats
from imagedrop.errors import UserError
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    console,
    print_items,
    progress,
    say,
)
from imagedrop.target import find_target
from imagedrop.target_name import TargetName

dead_letters = typer.Typer(
    help="List images that could not be classified, and send them back.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(dead_letters, name="dead-letters")
FIELDS = (
    *("message_id", "images", "versions", "reason", "detail", "attempts"),
    *("first_tried_at", "since", "logged_as"),
)
RATE = 20.0  # a second: ClassifyFunction manages this beside its ordinary work

ReasonOption = Annotated[
    str | None, typer.Option(help="Only those that failed for this reason; see the list.")
]
KeyOption = Annotated[
    str | None, typer.Option(help="Only this one: a key, an s3:// address, or a message id.")
]


@dead_letters.command("list", epilog="Example: imagedrop dead-letters list --reason SlowDown")
def list_command(
    reason: ReasonOption = None,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """List dead letters with image, reason, attempts and age; they stay in the queue."""
    queue = dead_letters_of(find_target(target))
    with console.status("Looking"):
        expected, found = queue.count(), queue.all()
    chosen = [each for each in without_repeats(found) if reason in (None, each.reason)]
    print_dead_letters(chosen, format_)
    if not found and not expected:
        say("There are no dead letters.")
    elif found and not chosen:
        reasons = ", ".join(sorted({each.reason for each in found}))
        say(f"None failed for the reason {reason}; there are: {reasons}")
    _warn_of_unseen(expected - len(found))


@dead_letters.command("show", epilog="Example: imagedrop dead-letters show incoming/dog.jpg")
def show_command(
    which: Annotated[str, typer.Argument(help="A key, an s3:// address, or a message id.")],
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print one dead letter with everything known about it, as JSON."""
    queue = dead_letters_of(find_target(target))
    with console.status("Looking"):
        found = [each for each in queue.all() if each.is_about(which)]
    if not found:
        raise _not_found(which)
    for each in found:
        print(json.dumps(each.to_json(), indent=1, ensure_ascii=False))


@dead_letters.command("redrive", epilog="Example: imagedrop dead-letters redrive --reason SlowDown")
def redrive_command(
    reason: ReasonOption = None,
    key: KeyOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List them, and send nothing.")
    ] = False,
    rate: Annotated[float, typer.Option(help="Messages a second at most.", min=0.1)] = RATE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Send dead letters back to be classified; repeating this is safe."""
    queue = dead_letters_of(find_target(target))
    seen: set[str] = set()

    def matches(letter: DeadLetter) -> bool:
        seen.add(letter.message_id)
        return reason in (None, letter.reason) and (key is None or letter.is_about(key))

    expected = queue.count()
    if dry_run:
        chosen = [each for each in queue.all() if matches(each)]
        print_dead_letters(chosen, Format.TABLE)
        say(f"{len(chosen)} would be sent back; nothing was sent.")
    else:
        with progress() as bars:
            bar = bars.add_task("sent back", total=expected)
            sent = queue.redrive(matches, rate, lambda _: bars.advance(bar))
            bars.update(bar, total=sent)
        say(f"{sent} sent back. Read their rows with: imagedrop predictions")
        if key is not None and not sent:
            raise _not_found(key)
    if _warn_of_unseen(expected - len(seen)):
        raise typer.Exit(1)


def print_dead_letters(found: Sequence[DeadLetter], format_: Format) -> None:
    """Prints dead letters to standard output; nothing if there are none."""
    if not found and format_ is Format.TABLE:
        return
    print_items(
        (each.to_json() for each in found),
        format_,
        Layout(
            fields=FIELDS,
            columns=(
                Column("image", overflow="fold", ratio=1),
                Column("reason", overflow="fold"),
                Column("tries", justify="right"),
                Column("age", justify="right", no_wrap=True),
            ),
            cells=_cells,
            to_csv=lambda row: row | {name: " ".join(row[name]) for name in ("images", "versions")},
        ),
    )


def _cells(row: JsonObject) -> Iterable[Sequence[str]]:
    for image in row["images"] or [row["message_id"]]:
        key = image.removeprefix("s3://").partition("/")[2] or image
        yield key, row["reason"], str(row["attempts"] or "?"), _age(row["since"])


def _age(since: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _warn_of_unseen(count: int) -> bool:
    """Warns if SQS's estimate is above the number read; returns whether it is."""
    if count > 0:
        say(
            f"About {count} more were not seen: another process is reading them, or there are too "
            "many for one reading. Try again in five minutes.",
            "yellow",
        )
    return count > 0


def _not_found(which: str) -> UserError:
    return UserError(f"No dead letter is about {which}.", "See all: imagedrop dead-letters list")
