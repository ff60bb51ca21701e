"""``imagedrop doctor``: check the machine and the local cloud, or the stack on AWS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import httpx
import typer

from imagedrop.app import command
from imagedrop.doctor.account import check_account
from imagedrop.doctor.canary import NAME, send_canary
from imagedrop.doctor.checks import Check, guarded
from imagedrop.doctor.machine import run_checks
from imagedrop.output import TargetOption, say
from imagedrop.samconfig import read_deployment
from imagedrop.target import aws_session, find_target
from imagedrop.target_name import TargetName


@command("imagedrop doctor --target aws")
def doctor(
    target: TargetOption = TargetName.LOCAL,
    canary: Annotated[
        bool | None,
        typer.Option(
            "--canary/--no-canary",
            help="Send one photo from the bucket to its row and forget it; by default on AWS only.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check this machine and the local cloud, or the stack on AWS; each problem has its remedy."""
    checks = _on_aws(canary is not False) if target is TargetName.AWS else _here(bool(canary))
    is_well = True
    for each in checks:
        say(f"{'ok' if each.ok else '!!'}  {each.name:18} {each.finding}", "" if each.ok else "red")
        if each.next_step:
            say(f"{'':22} → {each.next_step}")
        is_well = is_well and each.ok
    if not is_well:
        raise typer.Exit(1)


def _here(canary: bool) -> Iterator[Check]:
    yield from run_checks()
    if canary:
        yield guarded(NAME, lambda: send_canary(find_target(TargetName.LOCAL)))


def _on_aws(canary: bool) -> Iterator[Check]:
    saved = read_deployment()
    with httpx.Client() as http:
        yield from check_account(aws_session(saved), saved, canary=canary, http=http)
