"""``imagedrop inspect``: is a training learning, where does its time go, what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import Progress

from imagedrop.commands.train import DEFAULTS, HELP, require_torch
from imagedrop.errors import UserError
from imagedrop.output import console, progress
from training.errors import TrainingError
from training.settings import Backbone, TrainSettings, Unfreeze
from training.watch.observations import DEFAULT_INTERVAL
from training.watch.observer import EpochMetrics, StepSeconds

if TYPE_CHECKING:
    from torch import optim

    from training.inspection.inspection import Inspection
    from training.network import TransferNetwork

DEFAULT_DESTINATION = Path("inspection-output")
FINETUNE_EPOCHS = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: imagedrop inspect --data photos/ --backbone efficientnet_lite0 "
        "--unfreeze layer4"
    )(inspect)


def _option(name: str, default: object = None) -> Any:
    """The option of one setting; without a default of its own here it has the training's."""
    shown = DEFAULTS[name] if default is None else default
    return typer.Option(help=HELP[name], show_default=str(shown) if shown else False)


def inspect(
    ctx: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help=f"Train on these, watched; export nothing. {HELP['data']}")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Or read what a training with --monitor-interval or --profile left."),
    ] = None,
    destination: Annotated[
        Path, typer.Option(help="Where inspection.json and inspection.html go.")
    ] = DEFAULT_DESTINATION,
    monitor_interval: Annotated[
        int, typer.Option(min=1, help=HELP["monitor_interval"])
    ] = DEFAULT_INTERVAL,
    backbone: Annotated[Backbone | None, _option("backbone")] = None,
    weights: Annotated[str | None, _option("weights")] = None,
    unfreeze: Annotated[Unfreeze | None, _option("unfreeze")] = None,
    epochs: Annotated[int | None, _option("epochs")] = None,
    finetune_epochs: Annotated[int, _option("finetune_epochs", FINETUNE_EPOCHS)] = FINETUNE_EPOCHS,
    batch_size: Annotated[int | None, _option("batch_size")] = None,
    lr: Annotated[float | None, _option("lr")] = None,
    finetune_lr: Annotated[float | None, _option("finetune_lr")] = None,
    feature_cache: Annotated[Path | None, _option("feature_cache")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    amp: Annotated[bool | None, _option("amp")] = None,
) -> None:
    """Watch a training from inside, and say what was found and what to do about it."""
    if (data is None) == (output is None):
        raise UserError(
            "Say what to inspect: photos to train on, or what a training left.",
            "imagedrop inspect --data FOLDER, or imagedrop inspect --output FOLDER",
        )
    require_torch()
    # torch takes seconds to import, and the rest of the command line does without.
    from training.inspection.inspection import inspect_output  # noqa: PLC0415
    from training.reports.inspection import write_report  # noqa: PLC0415

    given = {
        name: value for name, value in ctx.params.items() if name in DEFAULTS and value is not None
    }
    try:
        inspection = (
            inspect_output(output)
            if output is not None
            else _train(TrainSettings(output_dir=destination, **given))
        )
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
    inspection.write(destination)
    page = write_report(inspection, destination)
    for finding in inspection.findings:
        console.print(f"[bold]{finding.rule}[/]: {finding.status}. {escape(finding.answer)}")
    for issue in inspection.issues:
        console.print(f"→ {issue.rule}: {escape(issue.advice)}")
    console.print(f"Report: {escape(str(page))}", highlight=False, soft_wrap=True)


def _train(settings: TrainSettings) -> Inspection:
    """Trains with a progress bar.

    Raises:
        typer.Exit: the user stopped it; nothing is left running.
    """
    from training.inspection.inspection import inspect_training  # noqa: PLC0415
    from training.train import log_to_stderr  # noqa: PLC0415

    log_to_stderr()
    try:
        with progress() as bars:
            return inspect_training(settings, [EpochBar(bars, settings)])
    except KeyboardInterrupt:
        console.print("Stopped; there is no report.")
        raise typer.Exit(INTERRUPTED) from None


class EpochBar:
    """A training's epochs as a progress bar."""

    def __init__(self, bars: Progress, settings: TrainSettings) -> None:
        tuned = settings.finetune_epochs if settings.unfreeze != "none" else 0
        self._bars = bars
        self._bar = bars.add_task("epochs", total=settings.epochs + tuned)

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        """The bar is there already."""

    def on_step(self, phase: str, step: int, loss: float, seconds: StepSeconds) -> None:
        """Epochs are enough."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self._bars.advance(self._bar)

    def on_end(self) -> None:
        """It stays at what was reached."""
