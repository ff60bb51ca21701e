"""``imagedrop page``: look at the photos and their answers in the browser."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.output import TargetOption, say
from imagedrop.page.hosting import hosting, opened_in_browser
from imagedrop.target import find_target
from imagedrop.target_name import TargetName


@command("imagedrop page --target aws")
def page(
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")
    ] = True,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Look at your photos in the browser: drop, filter, review. It runs until Ctrl-C.

    Only browsers on this machine can use it, with your own AWS credentials: nothing is public.
    """
    found = find_target(target)
    found.output("ApiUrl", "API")
    with hosting(found, target) as host:
        say("The page is at")
        say(f"  {host.address}")
        say(
            "for this machine only; anyone who has the address uses your credentials. Ctrl-C "
            "stops it."
        )
        with opened_in_browser(host.address) if browser else contextlib.nullcontext():
            host.run()
    say("Stopped.")
