"""``imagedrop forget``: one image and all that is known of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from imagedrop.dead_letters import DeadLetters
from imagedrop.errors import UserError
from imagedrop.forget import Forgetting, Forgotten
from imagedrop.output import TargetOption, console
from imagedrop.target import Target, TargetName, find_target
from imagedrop.text import printable


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: imagedrop forget incoming/dog.jpg")(forget)


def forget(
    key: Annotated[str, typer.Argument(help="The image's key, or its s3:// address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Erase every version of an image, its prediction, and the dead letters that speak of it."""
    found = find_target(target)
    chosen = _key(found, key)
    if not yes:
        typer.confirm(f"Erase {printable(chosen)} for good?", abort=True, err=True)
    with console.status("Erasing"):
        gone = _forgetting(found).forget(chosen)
    _tell(gone, chosen)


def _key(found: Target, key: str) -> str:
    """
    Raises:
        UserError: the address is one of another bucket.
    """
    if not key.startswith("s3://"):
        return key
    address = f"s3://{found.images_bucket}/"
    if not key.startswith(address):
        raise UserError(
            f"{printable(key)} is not in this stack's bucket.",
            f"Name a key, or an address that begins with {address}",
        )
    return key.removeprefix(address)


def _forgetting(found: Target) -> Forgetting:
    letters = DeadLetters(
        found.client("sqs"), found.outputs["DeadLetterQueueUrl"], found.outputs["ImagesQueueUrl"]
    )
    return Forgetting(
        found.client("s3"),
        found.client("dynamodb"),
        letters,
        found.images_bucket,
        found.outputs["PredictionsTableName"],
        found.outputs["WorkBucketName"],
    )


def _tell(gone: Forgotten, key: str) -> None:
    if not (gone.versions or gone.rows or gone.letters):
        console.print(f"There was nothing of {escape(printable(key))} left.", highlight=False)
    else:
        console.print(
            f"Erased: {gone.versions} versions, {gone.rows} predictions, {gone.letters} dead "
            "letters. Its name stays in the table, so that no late event brings the rest back.",
            highlight=False,
        )
    if gone.bulk_runs:
        console.print(
            "Work files of these bulk runs may hold its pixels, among those of others, until "
            f"they expire, WorkRetentionDays after they were written: {', '.join(gone.bulk_runs)}",
            highlight=False,
        )
