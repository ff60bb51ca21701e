"""``imagedrop cost``: what images cost on AWS."""

from __future__ import annotations

from typing import Annotated

import typer

from bulk.prices import NOTED_ON
from imagedrop.estimates.month import Mode, month_of
from imagedrop.output import console
from imagedrop.render import print_costs


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: imagedrop cost --images 1000000")(cost)


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
