"""``imagedrop destroy``: delete the stack, and with --data everything that it keeps."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from imagedrop.app import command
from imagedrop.commands.deploy import (
    ProfileOption,
    RegionOption,
    StackNameOption,
    choose_deployment,
)
from imagedrop.deployment.account import open_account
from imagedrop.deployment.inventory import Inventory, take_inventory
from imagedrop.deployment.removal import Removal
from imagedrop.deployment.template import count_kinds
from imagedrop.errors import UserError
from imagedrop.output import console, exit_on_interrupt, say
from imagedrop.target import aws_session
from imagedrop.text import printable


@command("imagedrop destroy --data")
def destroy(
    data: Annotated[
        bool, typer.Option("--data", help="Images, models, predictions and the key too.")
    ] = False,
    stack_name: StackNameOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the stack on AWS; data stay unless --data. What stays is listed with its cost."""
    chosen = choose_deployment(stack_name, region, profile)
    account = open_account(aws_session(chosen))
    with console.status("Looking"):
        found = take_inventory(account, chosen.stack_name)
    if found.status is None and not (found.kept or found.promoted_models):
        say(
            f"There is no stack {chosen.stack_name} in {account}, and there are no leftovers of "
            "one."
        )
        return
    _print_inventory(found, chosen.stack_name, str(account), data=data)
    if not yes:
        _confirm(chosen.stack_name)
    removal = Removal(account.clients, chosen.stack_name, found, on_step=lambda _step: None)
    with (
        exit_on_interrupt("Interrupted. The same command continues where it stopped."),
        console.status("Deleting") as status,
    ):
        removal.on_step = lambda step: status.update(Text(printable(step)))
        is_done = removal.remove(data=data)
    for problem in removal.problems:
        say(problem, "red")
    if not is_done:
        say("→ Fix the cause and repeat the command: it continues where it stopped.")
        raise typer.Exit(1)
    _print_end(found, data=data)


def _confirm(stack_name: str) -> None:
    typed = typer.prompt("Type the stack's name to delete this for good", err=True)
    if typed != stack_name:
        raise UserError(f"{typed} is not {stack_name}.", "Nothing was deleted.")


def _print_inventory(found: Inventory, stack_name: str, place: str, *, data: bool) -> None:
    if found.status is not None:
        say(f"Delete the stack {stack_name} ({found.status}) in {place}", "bold")
        kept_names = {each.name for each in found.kept}
        going = {
            each.logical_id: each.type for each in found.resources if each.name not in kept_names
        }
        for kind, count in count_kinds(going).items():
            say(f"  {count:3} x {kind}")
    else:
        say(
            f"There is no stack {stack_name} in {place}; these are leftovers of former ones", "bold"
        )
    for name in found.shadow_endpoints:
        say(f"  candidate's endpoint: {name}")
    for name in (*found.promoted_configs, *found.promoted_models):
        say(f"  promoted: {name}")
    if data:
        say("And permanently, with everything in them:", "bold")
        for each in found.kept:
            say(f"  {each.kind} {each.name}", "red")
    else:
        _print_kept(found)


def _print_kept(found: Inventory) -> None:
    if not found.kept:
        return
    say("These stay, with their monthly cost:", "bold")
    for each in found.kept:
        say(f"  {each.kind} {each.name}: {each.cost}")
        say(f"    remove it: {each.command}")
    say("  All of it: imagedrop destroy --data")


def _print_end(found: Inventory, *, data: bool) -> None:
    if data:
        say(
            "Everything is deleted. KMS deletes the key in 30 days; until then you can keep it "
            "with:"
        )
        say("  aws kms cancel-key-deletion --key-id KEY")
    else:
        say("Deleted; the data stay, as listed above.")
    say(
        "SAM's bucket of uploads (aws-sam-cli-managed-default-...) stays: other stacks of this "
        f"account may use it. {len(found.promoted_models)} promoted models were removed."
    )
