"""``imagedrop upload-form``: let somebody without an account drop images."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from imagedrop.output import TargetOption, console
from imagedrop.target import TargetName, find_target
from imagedrop.upload_form import upload_form


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(name="upload-form", epilog="Example: imagedrop upload-form alice --minutes 30")(
        print_upload_form
    )


def print_upload_form(
    guest: Annotated[str, typer.Argument(help="Images go to incoming/GUEST/.")],
    minutes: Annotated[
        int, typer.Option(help="How long it can be used.", min=1, max=7 * 24 * 60)
    ] = 60,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print a form (JSON: url, fields) that takes images of a guest, and nothing else."""
    form = upload_form(find_target(target), guest, minutes * 60)
    typer.echo(json.dumps(asdict(form), indent=2))
    console.print(f"Whoever has it may drop images under incoming/{guest}/ for {minutes} minutes.")
