"""``imagedrop inspect``: whether a training learns, where it spends its time, what to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from imagedrop.app import command
from imagedrop.commands.options import setting_options, takes
from imagedrop.commands.train import exit_if_incomplete, require_torch
from imagedrop.errors import UserError, as_user_error
from imagedrop.output import exit_on_interrupt, progress, say
from training.settings import TrainSettings, declared_settings
from training.tracking.run_folders import run_folder
from training.watch.observations import DEFAULT_INTERVAL
from training.watch.observer import EpochMetrics, TrainingObserver

if TYPE_CHECKING:
    from training.inspection.inspection import Inspection

FINETUNE_EPOCHS = 1
SETTINGS = (
    *("backbone", "weights", "unfreeze", "epochs", "finetune_epochs", "batch_size", "lr"),
    *("finetune_lr", "feature_cache", "seed", "amp"),
)


@command("imagedrop inspect --data photos/ --backbone efficientnet_lite0 --unfreeze layer4")
@takes(setting_options(SETTINGS, {"finetune_epochs": FINETUNE_EPOCHS}))
def inspect(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Train on these photos under observation; export nothing. "
            f"{declared_settings()['data'].help}"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Or read the output of a training with --monitor-interval or --profile."),
    ] = None,
    destination: Annotated[
        Path | None,
        typer.Option(
            help="Where inspection.json and inspection.html are written.",
            show_default="runs/inspection-TIME",
        ),
    ] = None,
    monitor_interval: Annotated[
        int, typer.Option(min=1, help="Record gradients each time after this many steps.")
    ] = DEFAULT_INTERVAL,
    **settings: Any,
) -> None:
    """Monitor a training; report the findings and what to do about them."""
    if (data is None) == (output is None):
        raise UserError(
            "Give photos to train on, or the output of a training.",
            "imagedrop inspect --data FOLDER, or imagedrop inspect --output FOLDER",
        )
    require_torch()
    # torch takes seconds to import; other commands do not need it.
    from training.inspection.inspection import inspect_output  # noqa: PLC0415
    from training.reports.inspection import write_report  # noqa: PLC0415

    with run_folder(destination, "inspection") as folder:
        with as_user_error():
            if output is not None:
                inspection = inspect_output(output)
            else:
                given = {name: value for name, value in settings.items() if value is not None}
                given |= {"data": data, "monitor_interval": monitor_interval}
                inspection = _train(TrainSettings(output_dir=folder, **given))
        inspection.write(folder)
        page = write_report(inspection, folder)
    for finding in inspection.findings:
        say(f"{finding.rule}: {finding.status}. {finding.answer}")
    for issue in inspection.issues:
        say(f"→ {issue.rule}: {issue.advice}")
    say(f"Report: {page}")
    exit_if_incomplete(is_complete=inspection.is_complete)


def _train(settings: TrainSettings) -> Inspection:
    """Trains with a progress bar.

    Raises:
        typer.Exit: the user stopped the training.
    """
    from training.inspection.inspection import inspect_training  # noqa: PLC0415
    from training.train import log_to_stderr  # noqa: PLC0415

    log_to_stderr()
    with exit_on_interrupt("Stopped; there is no report."), progress() as bars:
        return inspect_training(settings, [EpochBar(bars, settings)])


class EpochBar(TrainingObserver):
    """A training's epochs as a progress bar."""

    def __init__(self, bars: Progress, settings: TrainSettings) -> None:
        tuned = settings.finetune_epochs if settings.unfreeze != "none" else 0
        self._bars = bars
        self._bar = bars.add_task("epochs", total=settings.epochs + tuned)

    def on_epoch(self, metrics: EpochMetrics) -> None:  # noqa: ARG002 - every epoch counts
        """Advances the bar."""
        self._bars.advance(self._bar)
