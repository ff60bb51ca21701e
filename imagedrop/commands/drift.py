"""``imagedrop drift``: did the images change?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.commands.filters import moment
from imagedrop.drift import (
    FEWEST_IMAGES,
    FEWEST_IN_BASELINE,
    Sample,
    compare,
    sample_of,
)
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
from imagedrop.predictions import every_record
from imagedrop.target import Target, TargetName, find_target
from pipeline.events import utc_text
from pipeline.queries import Query
from pipeline.records import Road

BASELINE_DAYS = 28
FIELDS = ("day", "what", "images", "psi", "threshold", "drifts", "moved", "was", "is")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: imagedrop drift --days 7 --baseline 2026-10-01")(drift)


def drift(
    days: Annotated[int, typer.Option(min=1, help="Days to judge, today included; UTC.")] = 7,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="When the baseline begins, as in --since of predictions; it ends where the judged "
            f"days begin. {BASELINE_DAYS} days by default.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[Road | None, typer.Option(help="Dropped, or of a bulk run.")] = None,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Compare each day's labels, confidences and rejections with a baseline of former days.

    A difference counts when it is larger than chance explains for so many images.
    """
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    judged = [today - timedelta(days=back) for back in reversed(range(days))]
    begins = moment("baseline", baseline) or utc_text(judged[0] - timedelta(days=BASELINE_DAYS))
    if begins >= utc_text(judged[0]):
        raise UserError(
            f"The baseline begins after {judged[0]:%Y-%m-%d}, the first judged day.",
            "Give an earlier --baseline, or fewer --days.",
        )
    found = find_target(target)
    with console.status("Reading the table"):
        before = _sample(found, begins, utc_text(judged[0]), source)
        samples = [
            _sample(found, utc_text(day), utc_text(day + timedelta(days=1)), source)
            for day in judged
        ]
    say(f"Baseline: {before.images:,} images from {begins[:10]} until {judged[0]:%Y-%m-%d}.")
    if before.images < FEWEST_IN_BASELINE:
        say(f"They are too few: nothing can be said with less than {FEWEST_IN_BASELINE}.", "yellow")
    names = [f"{day:%Y-%m-%d}" for day in judged]
    rows = list(_rows(names, samples, before))
    print_days(rows, format_)
    for day in sorted({row["day"] for row in rows if row["drifts"]}):
        say(f"{day} differs from the baseline by more than chance explains.", "yellow")
    _say_models(before, samples)


def _sample(target: Target, since: str, until: str, source: Road | None) -> Sample:
    query = Query(since=since, until=until, source=source)
    return sample_of(every_record(target, query, sys.maxsize))


def _rows(names: Sequence[str], samples: Sequence[Sample], before: Sample) -> Iterator[JsonObject]:
    for name, sample in zip(names, samples, strict=True):
        for each in compare(sample, before):
            moved, was, now = each.moved or (None, None, None)
            yield {
                "day": name,
                "what": each.what,
                "images": each.images,
                "psi": each.psi,
                "threshold": each.threshold,
                "drifts": each.drifts if each.psi is not None else None,
                "moved": moved,
                "was": was,
                "is": now,
            }


def _say_models(before: Sample, samples: Sequence[Sample]) -> None:
    """A change of models moves labels and confidences without any change of the images."""
    now = {model for sample in samples for model in sample.models}
    if now and set(before.models) and now != set(before.models):
        say(
            f"The baseline was answered by {', '.join(sorted(before.models))}, these days by "
            f"{', '.join(sorted(now))}: another model answers otherwise without any drift."
        )


def print_days(rows: Sequence[JsonObject], format_: Format) -> None:
    """Prints the comparison of each day to standard output."""
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
    head = (row["day"], row["what"], f"{row['images']:,}")
    if row["psi"] is None:
        few = f"too few, {FEWEST_IMAGES} needed" if row["images"] < FEWEST_IMAGES else "too few"
        yield (*head, "", "", few, "")
        return
    moved = f"{row['moved']}: {row['was']:.0%} → {row['is']:.0%}"
    verdict = "drift" if row["drifts"] else "as before"
    yield (*head, f"{row['psi']:.3f}", f"{row['threshold']:.3f}", verdict, moved)
