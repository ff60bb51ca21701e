"""``imagedrop forget``: erase one image and everything about it."""

from __future__ import annotations

from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.errors import UserError
from imagedrop.forget import Forgetting, Forgotten, forgetting
from imagedrop.output import TargetOption, console, say
from imagedrop.target import Target, find_target
from imagedrop.target_name import TargetName
from imagedrop.text import printable
from imagedrop.unicode_forms import choose, shell_text


@command("imagedrop forget incoming/dog.jpg")
def forget(
    key: Annotated[str, typer.Argument(help="The image's key, or its s3:// address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Erase every version of an image, its prediction, and the dead letters about it."""
    found = find_target(target)
    erasing = forgetting(found)
    chosen = _stored(erasing, _key(found, key))
    if not yes:
        typer.confirm(f"Erase {printable(chosen)} for good?", abort=True, err=True)
    with console.status("Erasing"):
        erased = erasing.forget(chosen)
    _report(erased, chosen)


def _key(found: Target, key: str) -> str:
    """Returns the key of a key or an s3:// address.

    Raises:
        UserError: the address is in another bucket.
    """
    if not key.startswith("s3://"):
        return key
    address = f"s3://{found.images_bucket}/"
    if not key.startswith(address):
        raise UserError(
            f"{key} is not in this stack's bucket.",
            f"Give a key, or an address that begins with {address}",
        )
    return key.removeprefix(address)


def _stored(erasing: Forgetting, key: str) -> str:
    """Returns the existing key; prints a line if it or another one has another Unicode form.

    Raises:
        UserError: the typed form does not exist, and several others do.
    """
    stored = erasing.spellings(key)
    chosen = choose(key, stored)
    others = [shell_text(each) for each in stored if each != chosen]
    if chosen != key or others:
        say(f"The stored name is {shell_text(chosen)}.")
    if others:
        say(
            f"Another image has this name in another Unicode form, and stays: {' '.join(others)}",
            "yellow",
        )
    return chosen


def _report(erased: Forgotten, key: str) -> None:
    if not (erased.versions or erased.rows or erased.dead_letters):
        say(f"There is nothing of {key} left to erase.")
    else:
        say(
            f"Erased: {erased.versions} versions, {erased.rows} predictions, "
            f"{erased.dead_letters} dead letters. Its name stays in the table, so that no late "
            "event brings the rest back."
        )
    if erased.bulk_runs:
        say(
            "Work files of these bulk runs may hold its pixels, among those of other images, until "
            f"they expire 14 days after they were written: {', '.join(erased.bulk_runs)}"
        )
