"""``imagedrop drift``: did the images change?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Column

from changes.drift import (
    BASELINE_DAYS,
    BEFORE,
    FEWEST_IMAGES,
    FEWEST_IN_BASELINE,
    chief_model,
    days_until,
    first_counted,
)
from changes.drift import (
    drift as compared,
)
from changes.journal_table import JournalTable
from imagedrop.app import command
from imagedrop.commands.filters import moment
from imagedrop.errors import UserError
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    console,
    print_items,
    say,
)
from imagedrop.target import find_target
from imagedrop.target_name import TargetName

FIELDS = (
    *("day", "against", "what", "images", "baseline", "psi", "threshold", "drifts"),
    *("moved", "was", "now"),
)


@command("imagedrop drift --days 7 --baseline 2026-10-01")
def drift(
    days: Annotated[int, typer.Option(min=1, help="Days to judge, today included; UTC.")] = 7,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Start of the baseline, as in predictions --since; it ends where the "
            f"judged days begin. {BASELINE_DAYS} days by default.",
            show_default=False,
        ),
    ] = None,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Compare each day's drops with former days, and with the photos that validated the model.

    A difference counts if it is larger than chance explains for this number of images.
    """
    judged = days_until(datetime.now(UTC), days)
    begins = (moment("baseline", baseline) or first_counted(judged))[: len(judged[0])]
    if begins >= judged[0]:
        raise UserError(
            f"The baseline begins after {judged[0]}, the first judged day.",
            "Give an earlier --baseline, or fewer --days.",
        )
    found = find_target(target)
    with console.status("Reading the counters"):
        journal = found.output("JournalTableName", "counters")
        counted = JournalTable(found.client("dynamodb"), journal).drops(begins)
        card = found.served_model().card
    rows = list(compared(counted, judged, card))
    before = [counts for day, counts in counted.items() if day < judged[0]]
    images = max(row["baseline"] for row in rows if row["against"] == BEFORE)
    say(f"Baseline: {images:,} images from {begins} until {judged[0]}.")
    if images < FEWEST_IN_BASELINE:
        say(
            f"These are too few: no judgement is possible with fewer than {FEWEST_IN_BASELINE}.",
            "yellow",
        )
    print_days(rows, format_)
    for day in sorted({row["day"] for row in rows if row["drifts"] and row["against"] == BEFORE}):
        say(f"{day} differs from the baseline by more than chance explains.", "yellow")
    former = {chief_model(each) for each in before} - {None}
    now = {chief_model(counted[day]) for day in judged if day in counted} - {None}
    if former and now - former:
        say("Another model answers now; its labels and confidences have no baseline yet.")


def print_days(rows: Sequence[JsonObject], format_: Format) -> None:
    """Prints the comparisons to standard output."""
    layout = Layout(
        fields=FIELDS,
        columns=(
            Column("day", no_wrap=True),
            Column("what", no_wrap=True),
            Column("images", justify="right", no_wrap=True),
            Column("PSI", justify="right", no_wrap=True),
            Column("threshold", justify="right", no_wrap=True),
            Column("verdict", no_wrap=True),
            Column("moved most", overflow="fold"),
        ),
        cells=_cells,
        style=lambda cells: "yellow" if cells[5] == "drift" else "",
    )
    print_items(rows, format_, layout)


def _cells(row: JsonObject) -> Iterator[Sequence[str]]:
    day = row["day"] if row["against"] == BEFORE else row["against"]
    head = (day, row["what"], f"{row['images']:,}")
    if row["psi"] is None:
        few = f"too few, {FEWEST_IMAGES} needed" if row["images"] < FEWEST_IMAGES else "too few"
        yield (*head, "", "", few, "")
        return
    moved = f"{row['moved']}: {row['was']:.0%} → {row['now']:.0%}"
    verdict = "drift" if row["drifts"] else "as before"
    yield (*head, f"{row['psi']:.3f}", f"{row['threshold']:.3f}", verdict, moved)
