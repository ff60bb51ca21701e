"""Find the hyperparameters: many trainings of the head over the same cached features.

The default space is the original course project's: learning rate, batch size, epochs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError
from training.search import OBJECTIVE, SearchSpace, TrialResult, Tuning
from training.settings import TrainSettings
from training.train import Prepared, fit, prepare
from training.watch.observer import EpochMetrics, StopTraining, TrainingObserver

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

STUDY = "imagedrop"
# Optuna's own defaults for the median pruner: five trials to compare with, and here one epoch
# before a trial is compared.
STARTUP_TRIALS, WARMUP_EPOCHS = 5, 1


class Reporter(TrainingObserver):
    """Tells the search how a training stands after each epoch, and ends it when it is hopeless."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self._trial.report(_objective(metrics), metrics.epoch)
        if self._trial.should_prune():
            raise StopTraining


def tune(
    settings: TrainSettings,
    space: SearchSpace,
    trials: int,
    *,
    parallel: int,
    on_trial: Callable[[], None],
) -> Tuning:
    """Trains until there are so many trials; goes on with those that the output folder holds.

    Tree-structured Parzen estimators propose (Bergstra et al., 2011), and a trial below the median
    of the others at its epoch is ended.

    Args:
        settings: everything that is not searched; its output folder keeps the search.
        space: what is searched.
        trials: how many there shall be, earlier ones included.
        parallel: trainings at once.
        on_trial: told after each trial.

    Raises:
        TrainingError: the folder holds a search over other data or another space, or nothing to
            measure with.
    """
    import optuna  # noqa: PLC0415 - half a second, for those who search

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = replace(settings, folds=0, checkpoint_dir=None)
    prepared = prepare(settings)
    study = _study(optuna, settings, _identity(prepared, settings, space))
    left = trials - len([each for each in study.trials if each.state.is_finished()])

    def objective(trial: optuna.Trial) -> float:
        chosen = replace(settings, **space.suggest(trial))
        try:
            fitted = fit(prepared, chosen, [Reporter(trial)])
        except StopTraining:
            raise optuna.TrialPruned from None
        return _objective(fitted.metrics)

    if left > 0:
        study.optimize(objective, n_trials=left, n_jobs=parallel, callbacks=[lambda *_: on_trial()])
    return _result(study, space)


def _study(optuna: Any, settings: TrainSettings, identity: str) -> Any:
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{database(settings.output_dir)}",
        study_name=STUDY,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=settings.seed),
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, WARMUP_EPOCHS),
        load_if_exists=True,
    )
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", identity)
    elif known != identity:
        raise TrainingError(
            f"{settings.output_dir} holds a search over other data, weights or another space.",
            "Search into another --output-dir, or remove that one.",
        )
    return study


def database(output_dir: Path) -> Path:
    """Where the trials are kept while there are more to come."""
    return output_dir.resolve() / "trials.sqlite3"


def _identity(prepared: Prepared, settings: TrainSettings, space: SearchSpace) -> str:
    return f"{prepared.manifest_sha256}|{prepared.backbone_sha256}|{space}|seed {settings.seed}"


def _objective(metrics: EpochMetrics) -> float:
    if metrics.valid_top1 is None:
        raise TrainingError(
            "There are no validation images to compare trainings by.",
            "Give a part `valid`, or a few more photos a class.",
        )
    return metrics.valid_top1


def _result(study: Any, space: SearchSpace) -> Tuning:
    results = tuple(_trial_result(each) for each in study.trials if each.state.is_finished())
    if not any(each.status == "complete" for each in results):
        raise TrainingError("No trial was completed.", "See what the log says of them.")
    best = study.best_trial
    return Tuning(
        best=dict(best.params),
        value=best.value,
        objective=OBJECTIVE,
        strategy="TPE with median pruning",
        space=asdict(space),
        trials=results,
    )


def _trial_result(trial: Any) -> TrialResult:
    status = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    values = [value for _, value in sorted(trial.intermediate_values.items())]
    value = trial.value if status == "complete" else (values[-1] if values else None)
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return TrialResult(trial.number, dict(trial.params), value, status, seconds, tuple(values))
