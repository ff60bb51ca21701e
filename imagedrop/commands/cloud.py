"""``imagedrop up``, ``down``, ``status``: the cloud that the other commands use."""

from __future__ import annotations

from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.dead_letters import queue_length
from imagedrop.output import TargetOption, say
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from localcloud import cloud, environments
from localcloud.record import Strictness


@command("imagedrop up")
def up(
    deploy: Annotated[
        bool, typer.Option("--deploy/--no-deploy", help="Deploy template.yaml too.")
    ] = True,
    new_account: Annotated[
        bool,
        typer.Option("--new-account", help="Give SageMaker the quotas of a new AWS account."),
    ] = False,
) -> None:
    """Start the local cloud and deploy the template in it; it runs until `down`."""
    started = cloud.up(
        environments.default_home(),
        deploy=deploy,
        strictness=Strictness(new_account=new_account),
        on_step=lambda step: say(f"· {step}"),
    )
    say(f"Up at {started.endpoint_url}.")
    if started.outputs:
        say("Next: imagedrop send PHOTOS --wait")
    else:
        say("Next, for sam and every other AWS tool in this shell:")
        for name, value in environments.settings(started.endpoint_url).items():
            say(f"  export {name}={value}")
        say("  sam build && sam deploy --config-env local")


@command("imagedrop down")
def down() -> None:
    """Stop the local cloud; buckets, table and stack are kept for the next `up`."""
    if cloud.down(environments.default_home()):
        say("Stopped. Its content is kept; `imagedrop up` brings it back.")
    else:
        say("Nothing was running.")


@command("imagedrop status --target aws")
def status(target: TargetOption = TargetName.LOCAL) -> None:
    """Show what is deployed, where, and how many messages are waiting."""
    found = find_target(target)
    for name, value in found.outputs.items():
        say(f"{name:24} {value}")
    sqs = found.client("sqs")
    for title, queue in (("waiting", "ImagesQueueUrl"), ("dead letters", "DeadLetterQueueUrl")):
        say(f"{title:24} {queue_length(sqs, found.outputs[queue])}")
