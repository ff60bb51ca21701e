"""``imagedrop tune``: the hyperparameters for a folder of photos."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from imagedrop.commands.train import require_torch
from imagedrop.errors import UserError
from imagedrop.output import console, progress
from training.errors import TrainingError
from training.search import SearchSpace
from training.settings import Backbone, TrainSettings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: imagedrop tune --data photos/ --backbone efficientnet_lite0 --trials 20"
    )(tune)


def tune(
    data: Annotated[Path, typer.Option(help="class/IMAGE, or train|valid|test/class/IMAGE.")],
    trials: Annotated[int, typer.Option(help="How many there shall be in all.", min=1)] = 20,
    output_dir: Annotated[Path, typer.Option(help="Where the search is kept.")] = Path(
        "tuning-output"
    ),
    backbone: Annotated[Backbone, typer.Option(help="What the head stands on.")] = "resnet50",
    weights: Annotated[str, typer.Option(help="As for imagedrop train.")] = "",
    lr: Annotated[tuple[float, float], typer.Option(help="Lowest and highest learning rate.")] = (
        0.001,
        0.1,
    ),
    batch_size: Annotated[list[int] | None, typer.Option(help="16, 32 and 64 by default.")] = None,
    epochs: Annotated[tuple[int, int], typer.Option(help="Fewest and most epochs.")] = (2, 6),
    parallel: Annotated[int, typer.Option(help="Trainings at once.", min=1)] = 1,
    feature_cache: Annotated[Path | None, typer.Option(help="As for imagedrop train.")] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of the search.")] = 1,
) -> None:
    """Search hyperparameters; a search that was interrupted goes on where it was."""
    require_torch()
    if find_spec("optuna") is None:
        raise UserError("Tuning needs optuna, which is not installed.", "make train-setup")
    # torch takes seconds to import, and the rest of the command line does without.
    from training.reports.tuning import tuning_page  # noqa: PLC0415
    from training.train import log_to_stderr  # noqa: PLC0415
    from training.tune import tune as search  # noqa: PLC0415

    log_to_stderr()
    try:
        settings = TrainSettings(
            data=data,
            output_dir=output_dir,
            backbone=backbone,
            weights=weights,
            feature_cache=feature_cache,
            seed=seed,
        )
        sizes = tuple(batch_size) if batch_size else SearchSpace().batch_sizes
        space = SearchSpace(lr=lr, batch_sizes=sizes, epochs=epochs)
        with progress() as bars:
            bar = bars.add_task("trials", total=trials)
            found = search(
                settings, space, trials, parallel=parallel, on_trial=lambda: bars.advance(bar)
            )
            bars.update(bar, completed=len(found.trials))
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
    result = output_dir / "tuning.json"
    result.write_text(json.dumps(found.to_json(), indent=1) + "\n", encoding="utf-8")
    (output_dir / "tuning.html").write_text(tuning_page(found), encoding="utf-8")
    console.print(
        f"{found.objective} {found.value:.4f} with {escape(str(found.best))}", highlight=False
    )
    console.print(f"Next: imagedrop train --data {escape(str(data))} --hyperparameters {result}")
