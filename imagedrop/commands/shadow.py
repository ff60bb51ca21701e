"""``imagedrop shadow``: try a candidate on a share of the live images."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from changes.shadow import Shadow
from changes.shadow_setting import delete_shadow, read_shadow, write_shadow
from imagedrop.app import command
from imagedrop.errors import UserError
from imagedrop.models.candidates import find_candidate
from imagedrop.models.serving_endpoint import serving_endpoint
from imagedrop.models.shadow_endpoint import ShadowEndpoint
from imagedrop.output import TargetOption, console, say
from imagedrop.target import Target, find_target
from imagedrop.target_name import TargetName

DEFAULT_SHARE = 0.05


@command("imagedrop shadow dogs@2 --share 0.05")
def shadow(
    model: Annotated[
        str | None, typer.Argument(metavar="NAME@VERSION", help="A registered model.")
    ] = None,
    share: Annotated[
        float,
        typer.Option(
            help="The share of dropped images that it gets, above 0 and at most 1.", max=1
        ),
    ] = DEFAULT_SHARE,
    off: Annotated[
        bool, typer.Option("--off", help="Stop the trial, and delete its endpoint.")
    ] = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Try a candidate on a share of dropped images, after their rows are written.

    Its answers are stored in the rows and change nothing else. Without a model: print the
    candidate.
    """
    found = find_target(target)
    found.output("ShadowEndpointName", "endpoint for a candidate")
    if (off and model is not None) or not share > 0:
        raise UserError(
            "shadow takes a model and a share above 0, or --off.",
            "imagedrop shadow dogs@2 --share 0.05, or: imagedrop shadow --off",
        )
    if off:
        _end(found)
    elif model is None:
        _print(found)
    else:
        _begin(found, model, share)


def _begin(found: Target, model: str, share: float) -> None:
    candidate = find_candidate(found, model)
    sagemaker, s3 = found.client("sagemaker"), found.client("s3")
    bucket = found.outputs["ModelsBucketName"]
    with console.status("Starting the candidate's endpoint") as status:
        delete_shadow(s3, bucket)  # the endpoint may have another candidate
        ShadowEndpoint(sagemaker, found.outputs["ShadowEndpointName"]).start(
            serving_endpoint(found),
            candidate,
            lambda step: status.update(Text(f"The endpoint is {step}")),
        )
    write_shadow(s3, bucket, Shadow(model, candidate.card.image_spec, share))
    say(f"{share:.1%} of the images dropped from now on are shown to {model} too.")
    say("→ See where it disagrees: imagedrop predictions --disagreement")


def _end(found: Target) -> None:
    delete_shadow(found.client("s3"), found.outputs["ModelsBucketName"])
    endpoint = ShadowEndpoint(found.client("sagemaker"), found.outputs["ShadowEndpointName"])
    was_there = endpoint.stop()
    say("No image is shown to a candidate any more." if was_there else "There is no candidate.")


def _print(found: Target) -> None:
    shown = read_shadow(found.client("s3"), found.outputs["ModelsBucketName"])
    if shown is None:
        say("No image is shown to a candidate. Begin with: imagedrop shadow NAME@VERSION")
    else:
        say(f"{shown.share:.1%} of the dropped images are shown to {shown.model} too.")
