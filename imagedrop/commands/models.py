"""``imagedrop package``, ``promote`` and ``models``: register, deploy and list models."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from imagedrop.errors import UserError
from imagedrop.models.model_files import make_archive
from imagedrop.models.promotion import Promoter
from imagedrop.models.serving_endpoint import MAX_BAKE_SECONDS, ServingEndpoint
from imagedrop.output import TargetOption, console
from imagedrop.render import Format
from imagedrop.target import Target, TargetName, find_target
from imagedrop.text import printable
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.events import utc_text
from registry.model_registry import ModelRegistry, RegistrationError
from registry.models_bucket import ModelsBucket
from registry.served_model import served_model

COLUMNS = ("model", "answers", "approval", "labels", "top1", "created_at", "model_data_url")


def register(app: typer.Typer) -> None:
    """Adds the three commands."""
    app.command(
        epilog="Example: imagedrop package model-output --name dogs --version 2",
    )(package)
    app.command(epilog="Example: imagedrop promote dogs --version 2")(promote)
    app.command(epilog="Example: imagedrop models --format jsonl")(models)


def package(
    model: Annotated[
        str, typer.Argument(help="A folder from training, a model.tar.gz, or its s3:// address.")
    ],
    name: Annotated[str | None, typer.Option(help="Replaces the model's own.")] = None,
    version: Annotated[str | None, typer.Option(help="Replaces the model's own.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the archive here and register nothing.")
    ] = None,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Make a model's archive, check it, and register it with its origin."""
    if output is not None:
        with TemporaryDirectory() as temporary:
            archive = make_archive(_fetched(model, target, Path(temporary)), output, name, version)
        console.print(
            f"{escape(archive.card.identity)} is in {escape(str(output))}", highlight=False
        )
        return
    found = find_target(target)
    bucket = _models_bucket(found)
    endpoint = ServingEndpoint(found.client("sagemaker"), found.outputs["EndpointName"])
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        archive = make_archive(
            _fetched(model, target, folder), folder / "model.tar.gz", name, version
        )
        with console.status(f"Registering {escape(archive.card.identity)}"):
            stored = bucket.publish(archive)
            try:
                registered, is_new = _registry(found).register(
                    archive, stored, endpoint.serving().image
                )
            except RegistrationError as error:
                raise UserError(
                    str(error), "Give it a new version: imagedrop package … --version 2"
                ) from error
    said = "is registered" if is_new else "was registered already"
    console.print(f"{escape(registered.identity)} {said}", highlight=False)
    console.print(
        f"Next: imagedrop promote {escape(registered.name)} --version {escape(registered.version)}",
        highlight=False,
    )
    print(registered.arn)


def promote(
    name: Annotated[str | None, typer.Argument(help="A model's name in the registry.")] = None,
    version: Annotated[str | None, typer.Option(help="Its version; see imagedrop models.")] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Return to the model before the one promoted last.")
    ] = False,
    bake_seconds: Annotated[
        int,
        typer.Option(
            help="How long the alarms are watched; an alarm rolls the endpoint back.",
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
            endpoint=ServingEndpoint(found.client("sagemaker"), found.outputs["EndpointName"]),
            runtime=ModelEndpoint(found.client("sagemaker-runtime"), found.outputs["EndpointName"]),
            models=_models_bucket(found),
            registry=_registry(found),
            cloudwatch=found.client("cloudwatch"),
            alarms=found.outputs["RollbackAlarmNames"].split(","),
            default_model_data_url=found.outputs["DefaultModelDataUrl"],
            bake_seconds=bake_seconds,
            on_step=lambda line: status.update(escape(line)),
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
    console.print(f"{escape(identity)} answers now", highlight=False)


def models(
    format_: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """List the registered models and show which one answers."""
    found = find_target(target)
    serving = served_model(
        found.client("sagemaker"), found.client("s3"), found.outputs["EndpointName"]
    )
    bucket = _models_bucket(found)
    rows = [_default_row(bucket, found.outputs["DefaultModelDataUrl"]), *_rows(found)]
    for row in rows:
        row["answers"] = row["model_data_url"] == serving.model_data_url
    _print(rows, format_)
    current = bucket.promotions().current
    chosen = current.model_data_url if current else found.outputs["DefaultModelDataUrl"]
    if chosen != serving.model_data_url:
        console.print(
            f"[yellow]{escape(serving.identity)} answers, but "
            f"{escape(current.model if current else 'the default model')} was promoted.[/] "
            "Promote the one that you want.",
            highlight=False,
        )


def _rows(found: Target) -> list[dict[str, Any]]:
    return [
        {
            "model": each.identity,
            "approval": each.approval.value,
            "labels": int(each.lineage["labels"]),
            "top1": each.lineage.get("metrics.top1"),
            "created_at": utc_text(each.created_at),
            "model_data_url": each.model_data_url,
        }
        for each in _registry(found).packages()
    ]


def _default_row(bucket: ModelsBucket, url: str) -> dict[str, Any]:
    card = bucket.read_card(url)
    return {
        "model": card.identity,
        "approval": "default",
        "labels": len(card.labels),
        "top1": card.metrics.get("top1"),
        "created_at": None,
        "model_data_url": url,
    }


def _print(rows: list[dict[str, Any]], format_: Format) -> None:
    if format_ is Format.JSONL:
        for row in rows:
            print(json.dumps({name: row[name] for name in COLUMNS}))
    elif format_ is Format.CSV:
        writer = csv.DictWriter(sys.stdout, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    else:
        shown = [name for name in COLUMNS if name != "model_data_url"]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in shown:
            table.add_column(name, no_wrap=name != "model", overflow="fold")
        for row in rows:
            cells = {name: "" if row[name] is None else str(row[name]) for name in shown}
            cells["answers"] = "yes" if row["answers"] else ""
            table.add_row(*(escape(printable(cells[name])) for name in shown))
        Console().print(table)


def _fetched(model: str, target: TargetName, folder: Path) -> Path:
    """Returns a local path; a model in S3 is downloaded into the folder."""
    if not model.startswith("s3://"):
        return Path(model)
    bucket = _models_bucket(find_target(target))
    if not bucket.holds(model):
        raise UserError(
            f"{model} is not in this stack's models bucket, {bucket.name}.",
            "Download it and pass the file.",
        )
    path = folder / "given.tar.gz"
    bucket.fetch(model, path)
    return path


def _models_bucket(found: Target) -> ModelsBucket:
    return ModelsBucket(found.client("s3"), found.outputs["ModelsBucketName"])


def _registry(found: Target) -> ModelRegistry:
    return ModelRegistry(found.client("sagemaker"))
