"""The options that `imagedrop jobs train` and `imagedrop jobs tune` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from imagedrop.errors import UserError
from training.settings import FOLDERS, declared_settings

# A job chooses its own folders.
SETTABLE = sorted(set(declared_settings()) - set(FOLDERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The options of a job; annotated ones are options of both commands."""

    data: Annotated[
        str, typer.Option(metavar="S3URI", help="A data set: s3://BUCKET/training/data/NAME/.")
    ]
    backbone: Annotated[str, typer.Option(help=declared_settings()["backbone"].help)] = "resnet50"
    weights: Annotated[
        str,
        typer.Option(help="hub, imagenet, package, random, or s3://BUCKET/training/weights/FILE."),
    ] = ""
    features: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Use the features that this job computed: the job before a search, "
            "or one with --set features_only=true.",
            show_default=False,
        ),
    ] = None
    settings: Annotated[
        Mapping[str, Any],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help=f"Options of imagedrop train: any of {', '.join(SETTABLE)}.",
        ),
    ] = field(default_factory=dict)
    job_name: Annotated[
        str | None,
        typer.Option(
            help="The job's name; by default the data's name and the time.", show_default=False
        ),
    ] = None
    instance_type: Annotated[str, typer.Option(help="The machine of each training.")] = (
        "ml.m5.xlarge"
    )
    max_runtime_seconds: Annotated[
        int, typer.Option(min=1, help="Stop a training after this time.")
    ] = 4 * 3600
    spot: Annotated[
        bool, typer.Option("--spot", help="Spot machines: cheaper, but AWS may reclaim them.")
    ] = False
    max_wait_seconds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --spot, limit of waiting and training together; by default twice the "
            "training's.",
            show_default=False,
        ),
    ] = None
    image: Annotated[
        str | None,
        typer.Option(help="Your own container instead of AWS's.", show_default=False),
    ] = None
    role_arn: Annotated[
        str | None,
        typer.Option(help="A role instead of the stack's TrainingRole.", show_default=False),
    ] = None
    kms_key: Annotated[
        str | None,
        typer.Option(
            help="Encrypts disk and output; the stack's key by default.", show_default=False
        ),
    ] = None
    subnets: Annotated[
        tuple[str, ...],
        typer.Option("--subnet", help="Subnet of the job's machine; may be repeated."),
    ] = ()
    security_groups: Annotated[
        tuple[str, ...],
        typer.Option("--security-group", help="Required with --subnet; may be repeated."),
    ] = ()
    network_isolation: Annotated[
        bool, typer.Option("--network-isolation", help="No network at all; needs --image.")
    ] = False
    tags: Annotated[
        Mapping[str, str],
        typer.Option("--tag", metavar="KEY=VALUE", help="Tag of the job; may be repeated."),
    ] = field(default_factory=dict)
    debugger: bool = False

    @classmethod
    def from_command(cls, values: Mapping[str, Any]) -> JobOptions:
        """Reads the values that Typer parsed.

        Raises:
            UserError: a --set or --tag is not NAME=VALUE.
        """
        parsed = {
            "settings": pairs(values["settings"] or (), "--set"),
            "tags": pairs(values["tags"] or (), "--tag"),
            "subnets": tuple(values["subnets"] or ()),
            "security_groups": tuple(values["security_groups"] or ()),
        }
        return cls(**{**values, **parsed})


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Parses `NAME=VALUE` texts; hyphens in the names of settings become underscores.

    Raises:
        UserError: a text is not NAME=VALUE.
    """
    found = {}
    for each in texts:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {each} is not NAME=VALUE.", f"Write {option} NAME=VALUE.")
        found[name.replace("-", "_") if option == "--set" else name] = value
    return found
