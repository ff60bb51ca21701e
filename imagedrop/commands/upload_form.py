"""``imagedrop upload-form``: let a guest without an AWS account drop images."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.output import TargetOption, say
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from imagedrop.upload_form import upload_form


@command("imagedrop upload-form alice --minutes 30", name="upload-form")
def print_upload_form(
    guest: Annotated[
        str, typer.Argument(help="The guest's name; images are uploaded to incoming/GUEST/.")
    ],
    minutes: Annotated[
        int, typer.Option(help="How long the form is valid.", min=1, max=7 * 24 * 60)
    ] = 60,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print a form (JSON: url, fields) that accepts images from a guest, and nothing else."""
    form = upload_form(find_target(target), guest, minutes * 60)
    typer.echo(json.dumps(form, indent=2))
    say(f"Anyone who has it can drop images under incoming/{guest}/ for {minutes} minutes.")
