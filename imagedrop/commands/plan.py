"""``imagedrop plan``: the cheapest configuration for a number of images and a deadline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from itertools import count
from typing import Annotated, Any

import typer
from rich.table import Column

from imagedrop.app import command
from imagedrop.commands.cost import print_costs
from imagedrop.errors import UserError
from imagedrop.estimates.bulk_run import duration
from imagedrop.estimates.month import Mode
from imagedrop.estimates.prices import NOTED_ON
from imagedrop.growth import figures
from imagedrop.growth.limits import Load
from imagedrop.growth.plan import OnTry, Plan, plan_bulk, plan_drop
from imagedrop.output import console, exit_on_interrupt, print_pairs, print_table, say

_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}


class PlanFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


@command(
    "imagedrop plan --images 1000000 --deadline 2h · "
    "imagedrop plan --images 3600000 --rate 1000 --deadline 10s --mode drop · "
    "imagedrop plan --images 100000000 --mode bulk --format json"
)
def plan(
    images: Annotated[int, typer.Option(min=1, help="How many images.")],
    deadline: Annotated[
        str, typer.Option(help="From a drop to its row, for 99 of 100 images: 30s, 10min, 2h, 1d.")
    ] = "",
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Images dropped per second; by default as fast as S3 accepts them."
        ),
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="One way only; both by default.")] = None,
    format_: Annotated[
        PlanFormat, typer.Option("--format", help="Output format.")
    ] = PlanFormat.TABLE,
) -> None:
    """Print the cheapest configuration that classifies the images in time, by simulation."""
    known, load = figures.known(), Load(images=images, images_per_second=rate)
    seconds = deadline_seconds(deadline)
    ways = {Mode.DROP: plan_drop, Mode.BULK: plan_bulk}
    found, refused = [], []
    with exit_on_interrupt("Nothing was planned."):
        for way in [mode] if mode else list(Mode):
            try:
                with _counted(way) as on_try:
                    found.append(ways[way](load, seconds, known, on_try))
            except UserError as error:
                refused.append(error)
    if not found:
        *others, last = refused
        _say_refused(others)
        raise last
    if format_ is PlanFormat.JSON:
        typer.echo(json.dumps({str(each.mode): _as_json(each) for each in found}, indent=2))
    else:
        _print_plans(found)
    _say_refused(refused)


def _say_refused(refused: Sequence[UserError]) -> None:
    for each in refused:
        say(str(each), "yellow")
        say(f"→ {each.next_step}")


@contextmanager
def _counted(way: Mode) -> Iterator[OnTry]:
    """Says on a terminal how many configurations have been simulated."""
    words = f"Simulating ways to {way}:" if way is Mode.DROP else "Simulating bulk runs:"
    with console.status(f"{words} the first") as status:
        numbers = count(1)
        yield lambda: status.update(f"{words} {next(numbers)} done")


def deadline_seconds(written: str) -> float | None:
    """Reads a duration: 30s, 10min, 2h or 1d; None if nothing is written.

    Raises:
        UserError: it is no duration.
    """
    if not written:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|m|h|d)", written.strip())
    if not match or not float(match[1]):
        raise UserError(f"--deadline {written} is not a duration.", "Write 30s, 10min, 2h or 1d.")
    return float(match[1]) * _SECONDS[match[2]]


def _as_json(plan: Plan) -> dict[str, Any]:
    return asdict(plan) | {"total_dollars": plan.total_dollars}


def _print_plans(plans: Sequence[Plan]) -> None:
    rows = [
        ("first image to last row", *(duration(each.seconds) for each in plans)),
        ("99 % have their row after", *(duration(each.p99_seconds) for each in plans)),
        ("cost, $", *(f"{each.total_dollars:,.2f}" for each in plans)),
        (
            "limited by",
            *(f"{each.limit.resource}, {each.limit.images_per_second:,.0f}/s" for each in plans),
        ),
    ]
    columns = [Column(""), *(Column(each.mode) for each in plans)]
    print_table(columns, rows)
    print_pairs(pair for each in plans for pair in _settings(each))
    print_costs({each.mode: each.dollars for each in plans})
    quotas = [(quota, each.mode) for each in plans for quota in each.quotas]
    if quotas:
        print_table(
            [Column("quota to ask for"), Column("code"), Column("needed"), Column("for")],
            [(quota.name, quota.code, str(quota.needed), mode) for quota, mode in quotas],
        )
    for each in plans:
        say(f"For a faster {each.mode}: {each.limit.remedy}")
        if each.dollars.get("endpoint, instances"):
            say("An instance costs by the hour until EndpointCapacity=2048 is deployed again.")
    print_table(
        [Column("figure"), Column("value"), Column("kind"), Column("source")],
        [
            (
                each.name.lower().replace("_", " "),
                f"{each.value:g} {each.unit}",
                each.kind,
                each.source,
            )
            for each in figures.listed()
        ],
    )
    say("Simulated, not measured on AWS. US dollars, us-east-1, without free tiers and without")
    say(f"putting images into S3. Prices noted on {NOTED_ON}: check before quoting.")


def _settings(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yields what to write into samconfig.toml and what to type, to be copied."""
    overrides = " ".join(f"{name}={value}" for name, value in plan.parameters.items())
    yield f"{plan.mode}, samconfig.toml", f'parameter_overrides = "{overrides}"'
    if plan.options:
        yield f"{plan.mode}, command", f"imagedrop bulk start FOLDER {' '.join(plan.options)}"
