"""``imagedrop up``, ``down``, ``status``, ``doctor``: the cloud that everything else works on."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from imagedrop import doctor as checks
from imagedrop.output import TargetOption, console
from imagedrop.target import Target, TargetName, find_target
from localcloud import cloud, environments


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: imagedrop up")(up)
    app.command(epilog="Example: imagedrop down")(down)
    app.command(epilog="Example: imagedrop status --target aws")(status)
    app.command(epilog="Example: imagedrop doctor")(doctor)


def up(
    deploy: Annotated[
        bool, typer.Option("--deploy/--no-deploy", help="Deploy template.yaml too.")
    ] = True,
) -> None:
    """Start the local cloud and deploy the template in it; once up, it stays until `down`."""
    started = cloud.up(
        environments.default_home(),
        deploy=deploy,
        on_step=lambda step: console.print(f"· {escape(step)}"),
    )
    console.print(f"Up at {started.endpoint_url}.", highlight=False)
    if started.outputs:
        console.print("Next: imagedrop send PHOTOS --wait")
    else:
        console.print("Next, for sam and every other AWS tool in this shell:")
        for name, value in environments.settings(started.endpoint_url).items():
            console.print(f"  export {name}={value}", highlight=False)
        console.print("  sam build && sam deploy --config-env local", highlight=False)


def down() -> None:
    """Stop the local cloud; bucket, table and stack are kept for the next `up`."""
    if cloud.down(environments.default_home()):
        console.print("Stopped. What it holds is kept; `imagedrop up` brings it back.")
    else:
        console.print("Nothing was running.")


def status(target: TargetOption = TargetName.LOCAL) -> None:
    """Say what is deployed, where, and how many messages wait."""
    found = find_target(target)
    for name, value in found.outputs.items():
        console.print(f"{name:24} {escape(value)}", highlight=False)
    for title, queue in (("waiting", "ImagesQueueUrl"), ("dead letters", "DeadLetterQueueUrl")):
        console.print(f"{title:24} {queue_length(found, found.outputs[queue])}", highlight=False)


def queue_length(target: Target, queue_url: str) -> int:
    """Messages in the queue, those being worked on included (SQS calls it approximate)."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = target.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=names
    )["Attributes"]
    return sum(int(attributes[name]) for name in names)


def doctor() -> None:
    """Check this machine and the local cloud; say what to do about what is wrong."""
    results = checks.run_checks()
    for each in results:
        mark = "[green]ok[/]" if each.ok else "[red]!![/]"
        console.print(f"{mark}  {each.name:18} {escape(each.finding)}", highlight=False)
        if each.next_step:
            console.print(f"{'':22} → {escape(each.next_step)}", highlight=False)
    if not all(each.ok for each in results):
        raise typer.Exit(1)
