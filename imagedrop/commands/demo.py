"""``make demo``: the whole pipeline, from nothing to a printed table, and nothing left running."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from imagedrop.errors import UserError
from imagedrop.output import console
from imagedrop.render import Format, print_records
from imagedrop.target import local_target
from imagedrop.uploads import plan_uploads, upload_all, wait_for_rows
from localcloud import cloud, environments
from pipeline.records import Record

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
PATIENCE_SECONDS = 120.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: imagedrop demo my-photos/")(demo)


def demo(
    images: Annotated[
        Path | None, typer.Argument(help="A folder of photos; the demo's own by default.")
    ] = None,
) -> None:
    """Start a cloud of its own, classify photos in it, print them, and stop it again."""
    if not run_demo(images, console):
        raise typer.Exit(1)


def run_demo(images: Path | None, console: Console) -> bool:
    """True when every photo has its row.

    The demo has a cloud of its own beside the user's, so that it never disturbs that one.
    """
    began = time.monotonic()

    def step(text: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {escape(text)}", highlight=False)

    folder = images or PHOTOS
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", "make demo IMAGES=folder-of-photos")
    uploads, _ = plan_uploads([folder])
    home = environments.default_home() / "demo"
    cloud.down(home)  # one that an interrupted demo left behind
    try:
        running = cloud.up(home, deploy=True, on_step=step)
        target = local_target(running)
        step(f"dropping {len(uploads)} images into s3://{target.images_bucket}/incoming/")
        sent = list(upload_all(target.client("s3"), target.images_bucket, uploads))
        rows = wait_for_rows(
            target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _count: None
        )
        step(f"{len(rows)} rows in the predictions table:")
        console.print()
        print_records(in_order(rows), Format.TABLE)
        console.print()
    finally:
        cloud.down(home)
    step("everything stopped")
    missing = [each.upload.key for each in sent if each.upload.key not in rows]
    for key in missing:
        console.print(f"No row: {escape(key)} (logs: {home / 'logs'})")
    return not missing


def in_order(rows: dict[str, Record]) -> list[Record]:
    return [rows[key] for key in sorted(rows)]
