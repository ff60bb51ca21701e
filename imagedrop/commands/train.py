"""``imagedrop train``: train a classifier on a folder of photos."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from imagedrop.app import command
from imagedrop.commands.options import setting_options, takes
from imagedrop.errors import UserError, as_user_error
from imagedrop.output import say
from training.settings import TrainSettings, declared_settings
from training.tracking.run_folders import with_run_folder


@command("imagedrop train --data photos/ --backbone efficientnet_lite0 --folds 4")
@takes(setting_options([name for name in declared_settings() if name != "data"], {}))
def train(
    data: Annotated[Path, typer.Option(help=declared_settings()["data"].help)],
    hyperparameters: Annotated[
        Path | None,
        typer.Option(help="Take the best hyperparameters of this tuning.json; options override."),
    ] = None,
    **settings: Any,
) -> None:
    """Train a classifier on a folder of photos; writes a model that can be served."""
    given = {name: value for name, value in settings.items() if value is not None}
    backbone = given.get("backbone", declared_settings()["backbone"].default)
    best = read_hyperparameters(hyperparameters, backbone) if hyperparameters else {}
    require_torch()
    # torch takes seconds to import; other commands do not need it.
    from training.reports.training import write_training_page  # noqa: PLC0415
    from training.tracking.mlflow_runs import add_to_run  # noqa: PLC0415
    from training.train import keep_features, log_to_stderr  # noqa: PLC0415
    from training.train import train as train_model  # noqa: PLC0415

    log_to_stderr()
    with as_user_error():
        wanted = TrainSettings(data=data, **(best | given))
        if wanted.features_only:
            exit_if_incomplete(is_complete=keep_features(wanted))
            return
        wanted = with_run_folder(wanted)
        result = train_model(wanted)
        page = write_training_page(wanted.output_dir)
    add_to_run(result.tracked_as, wanted.output_dir.name, [page])
    say(
        f"{len(result.classes)} classes, trained in {result.seconds:.0f} s: "
        f"the model is in {result.model_dir}"
    )
    say(f"Report: {page}")
    model = quote(str(result.model_dir))
    if wanted.folds:  # the folds have measured it; the model itself was trained on every photo
        say(f"Next: imagedrop package {model}")
    else:
        say(f"Next: imagedrop evaluate {model} --data {quote(str(data))}")
    exit_if_incomplete(is_complete=result.is_complete)


def exit_if_incomplete(*, is_complete: bool) -> None:
    """Ends the command with 1 after its work, if photos were left out; the log names them.

    Raises:
        typer.Exit: some were.
    """
    if not is_complete:
        say("Some of the photos were left out: see above.", "yellow")
        raise typer.Exit(1)


def read_hyperparameters(file: Path, backbone: str) -> dict[str, Any]:
    """Reads the `best` of a tuning.json, by the names of TrainSettings.

    Raises:
        UserError: the file is not a tuning.json, or one of another backbone.
    """
    next_step = "Make one with: imagedrop tune --data FOLDER"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        best = {name.replace("-", "_"): value for name, value in content["best"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} has no hyperparameters: {error!r}", next_step) from error
    unknown = sorted(set(best) - set(declared_settings()))
    if unknown:
        raise UserError(f"{file} has unknown hyperparameters: {unknown}", next_step)
    searched = content.get("backbone") or backbone
    if searched != backbone:
        raise UserError(
            f"{file} was searched with {searched}, and this training uses {backbone}: "
            "hyperparameters do not carry over.",
            f"Train with --backbone {searched}, or search again: imagedrop tune --data FOLDER "
            f"--backbone {backbone}",
        )
    return best


def require_torch() -> None:
    """Checks that the libraries for training are installed.

    Raises:
        UserError: one is missing.
    """
    missing = [name for name in ("torch", "torchvision", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"Training needs {', '.join(missing)}, which this installation lacks.",
            "Install what training needs: make train-setup",
        )
