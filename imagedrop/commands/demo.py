"""``imagedrop demo``: run the whole pipeline once and print the rows."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.commands.predictions import is_doubt, print_records
from imagedrop.commands.send import say_left_out
from imagedrop.errors import UserError
from imagedrop.output import Format, say
from imagedrop.predictions import wait_for_rows
from imagedrop.target import INCOMING_PREFIX, local_target
from imagedrop.uploads import plan_uploads, upload_all
from localcloud import cloud, environments

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
PATIENCE_SECONDS = 120.0


@command("imagedrop demo my-photos/")
def demo(
    images: Annotated[
        Path | None, typer.Argument(help="A folder of photos; the demo's own by default.")
    ] = None,
) -> None:
    """Start a separate local cloud, classify photos in it, print the rows, and stop it again."""
    if not run_demo(images or PHOTOS):
        raise typer.Exit(1)


def run_demo(folder: Path) -> bool:
    """Runs the demo and prints each step with the seconds so far; True if no row is missing.

    It uses a separate cloud, so it cannot disturb the user's.

    Raises:
        UserError: there is no such folder, or it is empty.
    """
    began = time.monotonic()

    def step(text: str) -> None:
        say(f"{time.monotonic() - began:6.1f} s  {text}")

    # dash and zsh do not replace the ~ of make demo IMAGES=~/dogs.
    folder = Path(os.path.expanduser(folder))
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", "make demo IMAGES=folder-of-photos")
    uploads, left_out = plan_uploads([folder])
    is_missing = say_left_out(left_out)
    home = environments.default_home() / "demo"
    cloud.down(home)  # an interrupted demo may have left it running
    try:
        running = cloud.up(home, deploy=True, on_step=step)
        target = local_target(running)
        bucket = target.images_bucket
        step(f"dropping {len(uploads)} images into s3://{bucket}/{INCOMING_PREFIX}")
        sent = list(upload_all(target.client("s3"), bucket, uploads))
        rows = wait_for_rows(
            target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _count: None
        )
        step(f"{len(rows)} rows in the predictions table:")
        say("")
        print_records([rows[key] for key in sorted(rows)], Format.TABLE)
        say("")
        if any(is_doubt(each.to_json()) for each in rows.values()):
            say("unknown_dog: a dog, but its nearest breed leads the next ones by too little to be")
            say("named. So most breeds that the model lacks get no wrong name; a person decides.")
            say("")
    finally:
        cloud.down(home)
    step("everything stopped")
    missing = [each.upload.key for each in sent if each.upload.key not in rows]
    for key in missing:
        say(f"No row: {key} (logs: {home / 'logs'})")
    return not missing and not is_missing
