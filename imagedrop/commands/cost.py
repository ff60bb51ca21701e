"""``imagedrop cost``: the cost of images on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.app import command
from imagedrop.estimates.month import Mode, month_of
from imagedrop.estimates.prices import NOTED_ON
from imagedrop.estimates.shadow import shadow_cost
from imagedrop.output import print_table, say


@command("imagedrop cost --images 1000000")
def cost(
    images: Annotated[int, typer.Option(min=1, help="Images a month.")],
    mode: Annotated[
        Mode | None, typer.Option(help="Dropped one by one, or as a bulk run; both by default.")
    ] = None,
    shadow: Annotated[
        float,
        typer.Option(help="The share of dropped images that a candidate gets too.", min=0, max=1),
    ] = 0.0,
) -> None:
    """Print what a month of images costs on AWS, item by item."""
    modes = [mode] if mode else list(Mode)
    costs: dict[str, dict[str, float]] = {each: month_of(images, each) for each in modes}
    if shadow and Mode.DROP in costs:
        costs[Mode.DROP]["candidate"] = shadow_cost(images, shadow)
    print_costs(costs)
    say(
        "US dollars, us-east-1, without free tiers, and without uploading images to S3 and "
        f"storing them. Prices noted on {NOTED_ON}: check before quoting."
    )


def print_costs(costs: Mapping[str, Mapping[str, float]]) -> None:
    """Prints dollars by item, with a column for each mode."""
    modes = [Column(f"{mode}, $", justify="right") for mode in costs]
    items = dict.fromkeys(item for each in costs.values() for item in each)
    rows = [(item, *(_dollars(each.get(item)) for each in costs.values())) for item in items]
    total = ("together", *(_dollars(sum(each.values())) for each in costs.values()))
    print_table([Column("paid for"), *modes], [*rows, total])


def _dollars(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
