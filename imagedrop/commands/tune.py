"""``imagedrop tune``: search hyperparameters for a folder of photos."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from imagedrop.app import command
from imagedrop.commands.options import search_options, search_space, setting_options, takes
from imagedrop.commands.train import exit_if_incomplete, require_torch
from imagedrop.errors import UserError, as_user_error
from imagedrop.output import exit_on_interrupt, progress, say
from training.settings import TrainSettings, Unfreeze, declared_settings
from training.tracking.run_folders import run_folder
from training.tuning.search import AROUND_DEFAULTS, FINETUNE_LR, SearchSpace

SETTINGS = ("backbone", "weights", "feature_cache", "seed")


@command("imagedrop tune --data photos/ --backbone efficientnet_lite0 --trials 20")
@takes([*setting_options(SETTINGS, {}), *search_options(AROUND_DEFAULTS)])
def tune(
    data: Annotated[Path, typer.Option(help=declared_settings()["data"].help)],
    trials: Annotated[
        int, typer.Option(help="Number of trials, earlier ones included.", min=1)
    ] = 20,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the search; a search that is there already continues.",
            show_default="runs/tuning-TIME",
        ),
    ] = None,
    parallel: Annotated[int, typer.Option(help="Trials that run at once.", min=1)] = 1,
    label_smoothing: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Lowest and highest label smoothing.", show_default="not searched"),
    ] = None,
    unfreeze: Annotated[
        list[str] | None,
        typer.Option(
            help="Parts of the backbone to try: none, layer4, all; may be repeated. Each trial of "
            "one takes minutes.",
            show_default="not searched",
        ),
    ] = None,
    finetune_lr: Annotated[
        tuple[float, float],
        typer.Option(help="Lowest and highest rate of fine-tuning, with --unfreeze."),
    ] = FINETUNE_LR,
    **given: Any,
) -> None:
    """Search hyperparameters; with --output-dir an interrupted search continues.

    Trials are compared by the log loss out of fold. The best is judged against the defaults on
    photos that the search did not see; if it is not better, tuning.json holds the defaults.
    """
    require_torch()
    space = search_space(given, _wider(label_smoothing, unfreeze or [], finetune_lr))
    if find_spec("optuna") is None:
        raise UserError("Tuning needs optuna, which is not installed.", "make train-setup")
    # torch takes seconds to import; other commands do not need it.
    from training.loop.prepared import prepare  # noqa: PLC0415
    from training.reports.tuning import write_tuning  # noqa: PLC0415
    from training.train import log_to_stderr  # noqa: PLC0415
    from training.tuning.tune import tune as search  # noqa: PLC0415

    log_to_stderr()
    settings = {name: given[name] for name in SETTINGS if given[name] is not None}
    with run_folder(output_dir, "tuning") as folder:
        go_on = f"The same command with --output-dir {folder} resumes it."
        with exit_on_interrupt(f"Stopped. {go_on}"), as_user_error(), progress() as bars:
            say(f"The search is kept in {folder}. {go_on}")
            bar = bars.add_task("trials", total=trials)
            wanted = TrainSettings(data=data, output_dir=folder, **settings)
            found = search(
                prepare(wanted),
                wanted,
                space,
                trials,
                parallel=parallel,
                on_trial=lambda: bars.advance(bar),
            )
            bars.update(bar, completed=len(found.trials))
        result = write_tuning(found, folder)
    for note in found.notes:
        say(note)
    say(f"{found.objective} {found.value:.4f} with {found.best}")
    backbone = f" --backbone {found.backbone}"
    say(f"Next: imagedrop train --data {data}{backbone} --hyperparameters {result}")
    exit_if_incomplete(is_complete=found.is_complete)


def _wider(
    label_smoothing: tuple[float, float] | None,
    unfreeze: list[str],
    finetune_lr: tuple[float, float],
) -> SearchSpace:
    """The space, with the dimensions that are searched on request only.

    Raises:
        UserError: there is no such part of the backbone, or a range is empty.
    """
    unknown = sorted(set(unfreeze) - set(get_args(Unfreeze)))
    if unknown:
        raise UserError(
            f"--unfreeze {unknown[0]} is none of {', '.join(get_args(Unfreeze))}.", "See --help."
        )
    with as_user_error():
        return replace(
            AROUND_DEFAULTS,
            label_smoothing=label_smoothing,
            unfreeze=tuple(unfreeze),
            finetune_lr=finetune_lr if set(unfreeze) - {"none"} else None,
        )
