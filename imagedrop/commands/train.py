"""``imagedrop train``: a classifier of one's own, from a folder of photos."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from imagedrop.errors import UserError
from imagedrop.output import console
from training.errors import TrainingError
from training.settings import Backbone, TrainSettings, Unfreeze, explanations

HELP = explanations()
DEFAULTS = {each.name: each.default for each in fields(TrainSettings)}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: imagedrop train --data photos/ --backbone efficientnet_lite0 --folds 4"
    )(train)


def _option(name: str) -> Any:
    """The option of one setting. Its default is None, so that a file of hyperparameters can say."""
    default = DEFAULTS[name]
    return typer.Option(
        help=HELP[name], show_default=str(default) if default not in (None, "") else False
    )


def train(
    ctx: typer.Context,
    data: Annotated[Path, typer.Option(help=HELP["data"])],
    hyperparameters: Annotated[
        Path | None,
        typer.Option(help="A tuning.json, whose best are taken; options given here go first."),
    ] = None,
    model_dir: Annotated[Path | None, _option("model_dir")] = None,
    output_dir: Annotated[Path | None, _option("output_dir")] = None,
    checkpoint_dir: Annotated[Path | None, _option("checkpoint_dir")] = None,
    feature_cache: Annotated[Path | None, _option("feature_cache")] = None,
    name: Annotated[str | None, _option("name")] = None,
    version: Annotated[str | None, _option("version")] = None,
    backbone: Annotated[Backbone | None, _option("backbone")] = None,
    weights: Annotated[str | None, _option("weights")] = None,
    epochs: Annotated[int | None, _option("epochs")] = None,
    batch_size: Annotated[int | None, _option("batch_size")] = None,
    lr: Annotated[float | None, _option("lr")] = None,
    weight_decay: Annotated[float | None, _option("weight_decay")] = None,
    label_smoothing: Annotated[float | None, _option("label_smoothing")] = None,
    class_weights: Annotated[bool | None, _option("class_weights")] = None,
    patience: Annotated[int | None, _option("patience")] = None,
    unfreeze: Annotated[Unfreeze | None, _option("unfreeze")] = None,
    finetune_epochs: Annotated[int | None, _option("finetune_epochs")] = None,
    finetune_lr: Annotated[float | None, _option("finetune_lr")] = None,
    folds: Annotated[int | None, _option("folds")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    deterministic: Annotated[bool | None, _option("deterministic")] = None,
    amp: Annotated[bool | None, _option("amp")] = None,
    monitor_interval: Annotated[int | None, _option("monitor_interval")] = None,
    profile: Annotated[bool | None, _option("profile")] = None,
) -> None:
    """Train a classifier on a folder of photos; writes a model that can be served."""
    given = {key: value for key, value in ctx.params.items() if value is not None}
    del given["data"]
    best = read_hyperparameters(hyperparameters) if hyperparameters else {}
    given.pop("hyperparameters", None)
    require_torch()
    # torch takes seconds to import, and the rest of the command line does without.
    from training.train import log_to_stderr  # noqa: PLC0415
    from training.train import train as train_model  # noqa: PLC0415

    log_to_stderr()
    try:
        result = train_model(TrainSettings(data=data, **(best | given)))
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
    console.print(
        f"{len(result.classes)} classes, trained in {result.seconds:.0f} s: "
        f"the model is in {escape(str(result.model_dir))}",
        highlight=False,
    )


def read_hyperparameters(file: Path) -> dict[str, Any]:
    """The `best` of a tuning.json, by the names of TrainSettings.

    Raises:
        UserError: it is no such file.
    """
    next_step = "Make one with: imagedrop tune --data FOLDER"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        best = {name.replace("-", "_"): value for name, value in content["best"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} holds no hyperparameters: {error!r}", next_step) from error
    unknown = sorted(set(best) - set(DEFAULTS))
    if unknown:
        raise UserError(f"{file} has hyperparameters unknown here: {unknown}", next_step)
    return best


def require_torch() -> None:
    """UserError when the libraries for training are not installed."""
    missing = [name for name in ("torch", "torchvision", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"Training needs {', '.join(missing)}, which this installation has not.",
            "Install what training needs: make train-setup",
        )
