"""``imagedrop promote``: put a registered model behind the endpoint, or go back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from imagedrop.app import command
from imagedrop.errors import UserError
from imagedrop.models.promotion import Promoter
from imagedrop.models.serving_endpoint import MAX_BAKE_SECONDS, serving_endpoint
from imagedrop.output import TargetOption, console, say
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from pipeline.adapters.model_endpoint import ModelEndpoint


@command("imagedrop promote dogs --version 2")
def promote(
    name: Annotated[str | None, typer.Argument(help="A model's name in the registry.")] = None,
    version: Annotated[
        str | None, typer.Option(help="Its version; list them with imagedrop models.")
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Go back to the model before the last promotion.")
    ] = False,
    bake_seconds: Annotated[
        int,
        typer.Option(
            help="How long to watch the alarms; an alarm rolls the endpoint back.",
            min=0,
            max=MAX_BAKE_SECONDS,
        ),
    ] = 300,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Put a registered model behind the endpoint, blue/green, or go back."""
    if back == (name is not None) or (version is not None) != (name is not None):
        raise UserError(
            "promote takes a name and a version, or --back.",
            "imagedrop promote dogs --version 2, or: imagedrop promote --back",
        )
    found = find_target(target)
    with console.status("Looking") as status:
        promoter = Promoter(
            endpoint=serving_endpoint(found),
            runtime=ModelEndpoint(found.client("sagemaker-runtime"), found.outputs["EndpointName"]),
            models=found.models_bucket(),
            registry=found.model_registry(),
            cloudwatch=found.client("cloudwatch"),
            alarms=found.outputs["RollbackAlarmNames"].split(","),
            default_model_data_url=found.outputs["DefaultModelDataUrl"],
            bake_seconds=bake_seconds,
            on_step=lambda step: status.update(Text(step)),
            on_warning=lambda warning: say(warning, "yellow"),
        )
        try:
            if name is None or version is None:
                identity = promoter.back()
            else:
                identity = promoter.promote(name, version)
        except KeyboardInterrupt as interrupt:
            raise UserError(
                "Interrupted: SageMaker continues the update without this command.",
                "See which model answers: imagedrop models. Go back: imagedrop promote --back",
            ) from interrupt
    say(f"{identity} answers now")
