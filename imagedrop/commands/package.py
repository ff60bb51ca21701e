"""``imagedrop package``: make a model's archive and register it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.text import Text

from imagedrop.app import command
from imagedrop.errors import UserError
from imagedrop.models.model_files import make_archive
from imagedrop.models.serving_endpoint import serving_endpoint
from imagedrop.output import TargetOption, console, say
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from registry.model_registry import RegistrationError


@command("imagedrop package runs/dogs-20261129t130501/model --name dogs --version 2")
def package(
    model: Annotated[
        str, typer.Argument(help="A folder from training, a model.tar.gz, or its s3:// address.")
    ],
    name: Annotated[str | None, typer.Option(help="Replaces the model's own name.")] = None,
    version: Annotated[str | None, typer.Option(help="Replaces the model's own version.")] = None,
    groups: Annotated[
        Path | None, typer.Option(help="A JSON file, label: group; rows then have a group.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Only write the archive here; register nothing.")
    ] = None,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Create a model's archive, check it, and register it with its lineage."""
    if output is not None:
        with TemporaryDirectory() as temporary:
            source = _fetched(model, target, Path(temporary))
            archive = make_archive(source, output, name, version, groups)
        say(f"{archive.card.identity} is in {output}")
        return
    found = find_target(target)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = _fetched(model, target, folder)
        archive = make_archive(source, folder / "model.tar.gz", name, version, groups)
        with console.status(Text(f"Registering {archive.card.identity}")):
            stored = found.models_bucket().publish(archive)
            try:
                registered, is_new = found.model_registry().register(
                    archive, stored, serving_endpoint(found).serving().image
                )
            except RegistrationError as error:
                raise UserError(
                    str(error), "Give it a new version: imagedrop package … --version 2"
                ) from error
    say(f"{registered.identity} {'is' if is_new else 'was already'} registered")
    say(f"Next: imagedrop promote {registered.name} --version {registered.version}")
    print(registered.arn)


def _fetched(model: str, target: TargetName, folder: Path) -> Path:
    """Returns the model's path on this machine; downloads it to the folder when it is in S3.

    Raises:
        UserError: it is in S3 but not in the stack's models bucket.
    """
    if not model.startswith("s3://"):
        return Path(model)
    bucket = find_target(target).models_bucket()
    if not bucket.holds(model):
        raise UserError(
            f"{model} is not in this stack's models bucket, {bucket.name}.",
            "Download it and pass the file.",
        )
    path = folder / "given.tar.gz"
    bucket.fetch(model, path)
    return path
