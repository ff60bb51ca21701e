"""``imagedrop tune``: search hyperparameters for a folder of photos."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from imagedrop.commands.options import search_options, search_space, setting_options, takes
from imagedrop.commands.train import require_torch
from imagedrop.errors import UserError, as_user_error
from imagedrop.output import progress, say
from training.settings import TrainSettings, declared_settings

SETTINGS = ("backbone", "weights", "feature_cache", "seed")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: imagedrop tune --data photos/ --backbone efficientnet_lite0 --trials 20"
    )(tune)


@takes([*setting_options(SETTINGS, {}), *search_options()])
def tune(
    data: Annotated[Path, typer.Option(help=declared_settings()["data"].help)],
    trials: Annotated[int, typer.Option(help="Trials in all, earlier ones included.", min=1)] = 20,
    output_dir: Annotated[Path, typer.Option(help="Where the search is kept.")] = Path(
        "tuning-output"
    ),
    parallel: Annotated[int, typer.Option(help="Trainings at once.", min=1)] = 1,
    **given: Any,
) -> None:
    """Search hyperparameters; an interrupted search resumes from its output folder."""
    require_torch()
    if find_spec("optuna") is None:
        raise UserError("Tuning needs optuna, which is not installed.", "make train-setup")
    # torch takes seconds to import; other commands do not need it.
    from training.reports.tuning import tuning_page  # noqa: PLC0415
    from training.train import log_to_stderr  # noqa: PLC0415
    from training.tune import tune as search  # noqa: PLC0415

    log_to_stderr()
    settings = {name: given[name] for name in SETTINGS if given[name] is not None}
    with as_user_error(), progress() as bars:
        bar = bars.add_task("trials", total=trials)
        found = search(
            TrainSettings(data=data, output_dir=output_dir, **settings),
            search_space(given),
            trials,
            parallel=parallel,
            on_trial=lambda: bars.advance(bar),
        )
        bars.update(bar, completed=len(found.trials))
    result = output_dir / "tuning.json"
    result.write_text(json.dumps(found.to_json(), indent=1) + "\n", encoding="utf-8")
    (output_dir / "tuning.html").write_text(tuning_page(found), encoding="utf-8")
    say(f"{found.objective} {found.value:.4f} with {found.best}")
    say(f"Next: imagedrop train --data {data} --hyperparameters {result}")
