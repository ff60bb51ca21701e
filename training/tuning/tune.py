"""Searches hyperparameters: many cross-validations of the head on the same cached features.

The objective is the log loss out of fold, with the same folds for every trial; the defaults are the
first trial. A fifth of the photos, or the data set's own part `valid`, is kept from the search, and
the best trial is judged on it against the defaults.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.data.partition import Partition, fold_partitions, partition, torn_apart
from training.errors import TrainingError
from training.loop.prepared import Prepared
from training.settings import TrainSettings
from training.statistics.intervals import mean_interval
from training.statistics.out_of_fold import cross_entropy
from training.tuning.judging import Losses, logits_of, truth_of, verdict_of
from training.tuning.search import SearchSpace, TrialResult, Tuning, Verdict

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

STUDY = "imagedrop"
OBJECTIVE = "log loss out of fold"
FOLDS = 4
# The median pruner compares with at least five trials, Optuna's default, from the second fold on.
STARTUP_TRIALS, WARMUP_FOLDS = 5, 1
# Marks the trial of the defaults.
DEFAULTS = "defaults"


def tune(  # noqa: PLR0913 - what to search, on what, and how
    prepared: Prepared,
    settings: TrainSettings,
    space: SearchSpace,
    trials: int,
    *,
    parallel: int,
    on_trial: Callable[[], None],
) -> Tuning:
    """Runs trials until there are as many as wanted; resumes a search in the output folder.

    Tree-structured Parzen estimators (Bergstra et al., 2011) propose the hyperparameters. A trial
    above the median of the others after the same folds is ended.

    Args:
        settings: everything that is not searched, and the defaults of what is; its output folder
            holds the search.
        trials: how many in all, earlier ones included.
        parallel: trainings at once.
        on_trial: called after each trial.

    Raises:
        TrainingError: the folder holds a search over other data or another space, or there are too
            few photos, or the search cannot be kept on the disk.
    """
    import optuna  # noqa: PLC0415 - takes half a second

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = replace(settings, folds=FOLDS, seeds=1, patience=0, checkpoint_dir=None)
    photos = photos_of(prepared, settings)
    search = _Search(prepared, settings, photos.folds, space)
    with _database_errors(settings.output_dir):
        study = _study(optuna, settings, _identity(prepared, settings, space))
        _enqueue_defaults(study, search)
        left = trials - len([each for each in study.trials if each.state.is_finished()])
        # SQLite locks no rows, so two threads could both take a waiting trial: those run alone.
        waiting = min(left, len(study.get_trials(states=[optuna.trial.TrialState.WAITING])))
        for count, jobs in ((waiting, 1), (left - waiting, parallel)):
            if count > 0:
                study.optimize(
                    search.run, n_trials=count, n_jobs=jobs, callbacks=[lambda *_: on_trial()]
                )
        return _result(study, search, photos)


@dataclass(frozen=True, slots=True)
class Photos:
    """Indices of the prepared images."""

    folds: tuple[Partition, ...]
    """Of the photos that the search sees."""
    judged: Partition
    """`train` are the photos of the search; `valid` are others, no copies of those."""


def photos_of(prepared: Prepared, settings: TrainSettings) -> Photos:
    """Keeps the photos from the search that a training would validate with, with the same seed.

    Those that look the same as photos of the search are left out: a data set's own part `valid`
    may have such copies.

    Raises:
        TrainingError: there are too few photos to compare trainings by.
    """
    judged = _without_copies(
        partition(prepared.images, settings.seed, prepared.first_alike), prepared
    )
    sizes = Counter(prepared.images[row].class_index for row in judged.train)
    if len(judged.train) < FOLDS or max(sizes.values()) < 2:
        raise TrainingError(
            "There are too few photos to compare trainings by.", "Add photos to every class."
        )
    folds = fold_partitions(
        prepared.images, judged.train, FOLDS, settings.seed, prepared.first_alike
    )
    return Photos(tuple(each for each in folds if each.valid), judged)


def _without_copies(judged: Partition, prepared: Prepared) -> Partition:
    copies = frozenset(torn_apart(judged, prepared.first_alike))
    if not copies:
        return judged
    log.warning(
        "%d of %d validation photos look the same as training photos, and are left out. "
        "See: imagedrop data check FOLDER",
        len(copies),
        len(judged.valid),
    )
    left = tuple(place for place in judged.valid if place not in copies)
    return replace(judged, valid=left)


class _Search:
    """The objective of the search; keeps each trial's losses photo by photo beside its database."""

    def __init__(
        self,
        prepared: Prepared,
        settings: TrainSettings,
        folds: tuple[Partition, ...],
        space: SearchSpace,
    ) -> None:
        self.prepared = prepared
        self.settings = settings
        self.space = space
        self.defaults: dict[str, Any] = {name: getattr(settings, name) for name in space.searched}
        self._folds = folds
        self._losses = settings.output_dir / "losses"
        self._finetuning = Lock()

    def run(self, trial: optuna.Trial) -> float:
        """Cross-validates one proposal; raises TrialPruned when it is poor."""
        from optuna import TrialPruned  # noqa: PLC0415 - as in tune

        is_defaults = DEFAULTS in trial.user_attrs
        chosen = self.defaults
        if not is_defaults or self.space.holds(chosen):
            chosen = self.space.suggest(trial)
        trial.set_user_attr("hyperparameters", chosen)
        found: list[Losses] = []
        for number, parts in enumerate(self._folds):
            logits = self._logits(replace(self.settings, **chosen), parts)
            found.append(cross_entropy(logits, truth_of(self.prepared, parts)))
            trial.report(float(np.concatenate(found).mean()), number)
            if not is_defaults and trial.should_prune():
                raise TrialPruned
        losses = np.concatenate(found)
        self._losses.mkdir(parents=True, exist_ok=True)
        np.save(self._file(trial.number), losses, allow_pickle=False)
        return float(losses.mean())

    def _logits(self, settings: TrainSettings, parts: Partition) -> npt.NDArray[np.float32]:
        if settings.unfreeze == "none":
            return logits_of(self.prepared, settings, parts)
        # Fine-tuning uses all cores, and torch's own random numbers, which threads share.
        with self._finetuning:
            return logits_of(self.prepared, settings, parts)

    def difference(self, one: int, other: int) -> Losses | None:
        """One complete trial's losses minus another's, float64 [photos]; None if they are gone."""
        try:
            first, second = (
                np.load(self._file(number), allow_pickle=False) for number in (one, other)
            )
        except FileNotFoundError:
            return None
        found: Losses = first - second
        return found

    def _file(self, number: int) -> Path:
        return self._losses / f"{number:05}.npy"


def _enqueue_defaults(study: Any, search: _Search) -> None:
    """The defaults are tried first; again where an interruption ended their trial."""
    tried = [each for each in study.trials if DEFAULTS in each.user_attrs]
    if any(each.state.name in ("COMPLETE", "WAITING") for each in tried):
        return
    within = search.space.holds(search.defaults)
    study.enqueue_trial(search.defaults if within else {}, user_attrs={DEFAULTS: True})


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
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=settings.seed),
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, WARMUP_FOLDS),
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
    return (
        f"{OBJECTIVE}, {FOLDS} folds|{prepared.manifest_sha256}|{prepared.backbone_sha256}|"
        f"{space}|seed {settings.seed}"
    )


def _result(study: Any, search: _Search, photos: Photos) -> Tuning:
    finished = [each for each in study.trials if each.state.is_finished()]
    results = tuple(map(_trial_result, finished))
    complete = [each for each in results if each.status == "complete"]
    defaults = [
        result
        for each, result in zip(finished, results, strict=True)
        if DEFAULTS in each.user_attrs and result.status == "complete"
    ]
    if not defaults:
        raise TrainingError("The trial of the defaults was not completed.", "Run it again.")
    winner = min(complete, key=lambda each: each.value or 0.0)
    verdict = _verdict(search, photos, winner, defaults[0])
    best = winner if verdict.is_better else defaults[0]
    return Tuning(
        best=best.hyperparameters,
        value=best.value or 0.0,
        objective=OBJECTIVE,
        strategy="TPE with median pruning",
        space=search.space.to_json(),
        trials=results,
        lower_is_better=True,
        backbone=search.settings.backbone,
        data_manifest_sha256=search.prepared.manifest_sha256,
        ties=tuple(
            each.number for each in complete if each != winner and _is_tie(search, each, winner)
        ),
        verdict=verdict,
        is_complete=search.prepared.data.is_complete,
    )


def _verdict(
    search: _Search, photos: Photos, winner: TrialResult, defaults: TrialResult
) -> Verdict:
    seen = search.difference(winner.number, defaults.number)
    return verdict_of(
        search.prepared,
        replace(search.settings, **winner.hyperparameters),
        replace(search.settings, **defaults.hyperparameters),
        photos.judged,
        winner.hyperparameters,
        np.zeros(1) if seen is None else seen,
    )


def _is_tie(search: _Search, one: TrialResult, winner: TrialResult) -> bool:
    difference = search.difference(one.number, winner.number)
    return difference is not None and mean_interval(difference)[0] <= 0


def _trial_result(trial: Any) -> TrialResult:
    status = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    values = [value for _, value in sorted(trial.intermediate_values.items())]
    value = trial.value if status == "complete" else (values[-1] if values else None)
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    hyperparameters = dict(trial.user_attrs.get("hyperparameters", trial.params))
    return TrialResult(trial.number, hyperparameters, value, status, seconds, tuple(values))
