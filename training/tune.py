"""Searches hyperparameters: many trainings of the head on the same cached features.

The default space is the original course project's: learning rate, batch size, epochs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError
from training.prepared import Prepared, prepare
from training.search import OBJECTIVE, SearchSpace, TrialResult, Tuning
from training.settings import TrainSettings
from training.train import fit
from training.watch.observer import EpochMetrics, StopTraining, TrainingObserver

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

STUDY = "imagedrop"
# The median pruner compares with at least five trials, Optuna's default, from the second epoch on.
STARTUP_TRIALS, WARMUP_EPOCHS = 5, 1


class Reporter(TrainingObserver):
    """Reports each epoch to the search, which ends a training that is worse than the median."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Reports the objective; raises StopTraining when the search prunes the trial."""
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
    """Runs trials until there are as many as wanted; resumes a search in the output folder.

    Tree-structured Parzen estimators (Bergstra et al., 2011) propose the hyperparameters. A trial
    below the median of the others at the same epoch is ended.

    Args:
        settings: everything that is not searched; its output folder holds the search.
        trials: how many in all, earlier ones included.
        parallel: trainings at once.
        on_trial: called after each trial.

    Raises:
        TrainingError: the folder holds a search over other data or another space, or there are no
            validation images, or the search cannot be kept on the disk.
    """
    import optuna  # noqa: PLC0415 - takes half a second

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = replace(settings, folds=0, checkpoint_dir=None)
    prepared = prepare(settings)
    with _database_errors(settings.output_dir):
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
            study.optimize(
                objective, n_trials=left, n_jobs=parallel, callbacks=[lambda *_: on_trial()]
            )
        return _result(study, space)


@contextmanager
def _database_errors(output_dir: Path) -> Iterator[None]:
    """Turns an error of the trials' database (full disk, not a database) into a `TrainingError`."""
    from optuna.exceptions import StorageInternalError  # noqa: PLC0415 - takes half a second
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TrainingError(
            f"{database(output_dir)} cannot be read or written: {reason}.",
            "Free space on its disk, or give another --output-dir.",
        ) from error


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
            "Give another --output-dir, or remove that one.",
        )
    return study


def database(output_dir: Path) -> Path:
    """The database of the trials."""
    return output_dir.resolve() / "trials.sqlite3"


def _identity(prepared: Prepared, settings: TrainSettings, space: SearchSpace) -> str:
    return f"{prepared.manifest_sha256}|{prepared.backbone_sha256}|{space}|seed {settings.seed}"


def _objective(metrics: EpochMetrics) -> float:
    if metrics.valid_top1 is None:
        raise TrainingError(
            "There are no validation images to compare trainings by.",
            "Add a part `valid`, or a few more photos per class.",
        )
    return metrics.valid_top1


def _result(study: Any, space: SearchSpace) -> Tuning:
    results = tuple(_trial_result(each) for each in study.trials if each.state.is_finished())
    if not any(each.status == "complete" for each in results):
        raise TrainingError("No trial was completed.", "The log says why.")
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
