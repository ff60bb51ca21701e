"""Trains a classifier on a folder of photos: `python -m training.train`, `imagedrop train`.

`train` runs `prepare`, `fit` and `export`. The tuner prepares once and fits many times; the
inspection exports nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from time import perf_counter

from training import parallel
from training.data.learned_photos import LearnedPhoto, Use
from training.data.partition import Partition, partition, torn_apart
from training.errors import TrainingError
from training.export.exporting import Trained, check_export_tools, export_model, hyperparameters
from training.export.gate import gate_of
from training.loop.checkpoint import Checkpoint
from training.loop.cross_validation import cross_validate, validation_answers
from training.loop.fitting import fit_once
from training.loop.prepared import Prepared, prepare
from training.networks.network import TransferNetwork
from training.progress import PrintableFormatter
from training.settings import RUN_FOLDER, TrainSettings
from training.statistics.metrics import expected_calibration_error
from training.statistics.out_of_fold import OutOfFold, write_out_of_fold
from training.statistics.spread import CrossValidationSpread, spread_of
from training.tracking import failure
from training.tracking.metric_lines import MetricLog, metric_line
from training.tracking.mlflow_runs import MlflowRun, mlflow_run
from training.tracking.run_folders import with_run_folder
from training.tracking.tensorboard import TensorBoardLog
from training.watch.inspectors import inspectors
from training.watch.observer import EpochMetrics, TrainingObserver

# Not __name__, which is __main__ when this module runs as a program.
log = logging.getLogger("training.train")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network."""

    network: TransferNetwork
    metrics: EpochMetrics
    """Of the epoch that was kept; with folds over the folds' last epochs."""
    history: tuple[EpochMetrics, ...]
    folds: tuple[EpochMetrics, ...]
    """The last epoch of each fold; empty without folds."""
    answers: OutOfFold | None
    """To photos that were not trained on; None if there are none."""
    spread: CrossValidationSpread | None
    """Of the folds; None without."""
    partition: Partition
    """The images that it was trained and measured on."""
    seconds: float


def train(settings: TrainSettings, callbacks: Sequence[TrainingObserver] = ()) -> Trained:
    """Trains on a folder of photos and writes a servable model, or a failure file with the reason.

    Raises:
        TrainingError: the user can correct the cause.
        OSError: a file cannot be read or written.
        StopTraining: an observer ended it; nothing is exported.
    """
    with failure.recorded(settings.output_dir), mlflow_run(settings) as run:
        check_export_tools()
        recorders = _recorders(settings, run)
        prepared = prepare(settings)
        parallel.wait_for_all()  # the others read the features that are kept now
        watching = [*recorders, *inspectors(settings, prepared.preparation), *callbacks]
        fitted = fit(prepared, settings, watching)
        if fitted.spread is not None:
            log.info("%d folds, each at its last epoch:", len(fitted.folds))
            log.info("%s", fitted.spread.text())
            print(metric_line(fitted.metrics), flush=True)
        if fitted.answers is not None:
            write_out_of_fold(fitted.answers, settings.output_dir)
        result = export(prepared, fitted, settings, {} if run is None else run.ids)
        for observer in watching:
            observer.on_finish()
        return result


def _recorders(settings: TrainSettings, run: MlflowRun | None) -> list[TrainingObserver]:
    """Makes the recorders of each epoch: in the run's folder, and elsewhere on request.

    Raises:
        TrainingError: a package for it is not installed.
    """
    recorders: list[TrainingObserver] = [MetricLog(settings.output_dir)]
    if settings.tensorboard is not None:
        recorders.append(TensorBoardLog(settings.tensorboard / settings.output_dir.name))
    return recorders if run is None else [*recorders, run]


def take_part(settings: TrainSettings) -> None:
    """Trains together with the first process, which observes and writes.

    Raises:
        TrainingError: as `prepare`.
        OSError: a file cannot be read.
    """
    logging.getLogger("training").setLevel(logging.WARNING)
    # Only the first process knows the folder of a new run.
    folder = None if settings.output_dir == RUN_FOLDER else settings.output_dir
    with failure.recorded(folder, keeps_earlier=True):
        parallel.wait_for_all()
        fit(prepare(settings), settings)


def fit(
    prepared: Prepared, settings: TrainSettings, callbacks: Sequence[TrainingObserver] = ()
) -> Fitted:
    """Trains a new head and, if the settings say so, parts of the backbone.

    `prepared` does not change and can be used again with other hyperparameters.

    Raises:
        StopTraining: an observer stopped the training.
    """
    started = perf_counter()
    checkpoint = Checkpoint(settings.checkpoint_dir, _identity(prepared, settings))
    alike = checkpoint.split_together(prepared.first_alike)
    prepared = replace(prepared, first_alike=alike)
    folds: tuple[EpochMetrics, ...] = ()
    answers, spread = None, None
    if settings.folds:
        validated = cross_validate(prepared, settings, checkpoint, partial(_log_fold, settings))
        folds, answers, parts = validated.folds, validated.answers, validated.everything
        spread = spread_of(answers)
    else:
        parts = partition(prepared.images, settings.seed, prepared.first_alike)
        _warn_of_copies(prepared, parts)
    fitted = fit_once(prepared, settings, parts, callbacks, checkpoint)
    if fitted.logits is not None:
        answers = validation_answers(prepared, parts, fitted.logits, settings.seed)
    return Fitted(
        network=fitted.network,
        metrics=fitted.state.kept if spread is None else mean(folds, spread),
        history=tuple(fitted.state.history),
        folds=folds,
        answers=answers,
        spread=spread,
        partition=parts,
        seconds=perf_counter() - started,
    )


def _warn_of_copies(prepared: Prepared, parts: Partition) -> None:
    """If parts of a data set contain copies of each other, the metrics are too good."""
    if torn := torn_apart(parts, prepared.first_alike):
        log.warning(
            "%d of %d validation photos look the same as training photos, such as %s: the metrics "
            "are too good. See: imagedrop data check FOLDER",
            len(torn),
            len(parts.valid),
            prepared.images[torn[0]].path,
        )


def _log_fold(settings: TrainSettings, number: int, metrics: EpochMetrics) -> None:
    total = settings.folds * settings.seeds
    log.info("fold %d of %d: %s", number, total, metric_line(metrics))


def export(
    prepared: Prepared,
    fitted: Fitted,
    settings: TrainSettings,
    tracked_as: Mapping[str, str] | None = None,
) -> Trained:
    """Writes the servable model and the records of the training.

    Args:
        tracked_as: ids of this run elsewhere, for its records.

    Raises:
        TrainingError: ONNX Runtime and torch give different probabilities.
    """
    gate = gate_of(prepared, fitted.network, fitted.partition, settings)
    original = None
    if gate is not None and gate.before_finetuning:
        original = prepared.network.with_head(fitted.network.head)
    trained = Trained(
        settings=settings,
        classes=prepared.data.classes,
        data_manifest_sha256=prepared.manifest_sha256,
        backbone_sha256=prepared.backbone_sha256,
        left_out=len(prepared.features.rejected),
        learned=_learned(prepared, fitted.partition),
        train_images=len(fitted.partition.train),
        valid_images=len(fitted.partition.valid),
        metrics=fitted.metrics,
        history=fitted.history,
        folds=fitted.folds,
        spread=fitted.spread,
        ece=None if fitted.answers is None else _calibration_error(fitted.answers),
        seconds=fitted.seconds,
        gate=gate,
        is_complete=prepared.data.is_complete,
        tracked_as=tracked_as or {},
    )
    shown = [prepared.images[row] for row in fitted.partition.valid or fitted.partition.train]
    export_model(fitted.network, prepared.spec, shown, trained, original)
    return trained


def _calibration_error(answers: OutOfFold) -> float:
    return expected_calibration_error(answers.probabilities, answers.truth)


def _learned(prepared: Prepared, parts: Partition) -> tuple[LearnedPhoto, ...]:
    uses: list[tuple[int, Use]] = [(row, "train") for row in parts.train]
    uses += [(row, "valid") for row in parts.valid]
    return tuple(
        LearnedPhoto.of(prepared.digests[row], prepared.looks[row], use) for row, use in uses
    )


def mean(folds: Sequence[EpochMetrics], spread: CrossValidationSpread) -> EpochMetrics:
    """The figures of a cross-validation over all its photos; the sum of its folds' seconds."""
    return replace(
        folds[-1],
        train_loss=fmean(fold.train_loss for fold in folds),
        valid_loss=spread.log_loss.mean,
        valid_top1=spread.top1.mean,
        valid_top5=fmean(fold.valid_top5 or 0.0 for fold in folds),
        seconds=sum(fold.seconds for fold in folds),
    )


def _identity(prepared: Prepared, settings: TrainSettings) -> str:
    """Identifies the trainings that may resume each other's checkpoints."""
    return (
        f"{settings.backbone} {hyperparameters(settings)} "
        f"{prepared.manifest_sha256} {prepared.backbone_sha256}"
    )


def log_to_stderr() -> None:
    """Sends the log to standard error; metric lines go to standard output."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("training").setLevel(logging.INFO)


def keep_features(settings: TrainSettings) -> bool:
    """Computes the features of every photo and keeps them.

    Returns whether no photo can be among the files left out of the data.

    Raises:
        TrainingError: as `prepare`.
        OSError: a file cannot be read or written.
    """
    with failure.recorded(None if settings.output_dir == RUN_FOLDER else settings.output_dir):
        prepared = prepare(settings)
    log.info("the features of %d photos are kept", len(prepared.images))
    return prepared.data.is_complete


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code is 0 only when it wrote a servable model.

    It stays 0 when photos were left out: of a training job that fails, SageMaker keeps no model.
    It reports a user's mistake in one sentence and a bug with its traceback, on standard error and
    in the failure file.
    """
    log_to_stderr()
    try:
        with failure.recorded(None, keeps_earlier=not parallel.is_first_started()):
            settings = TrainSettings.from_arguments(
                sys.argv[1:] if arguments is None else arguments
            )
        if settings.features_only:
            if parallel.is_first_started():
                keep_features(settings)
            return 0
        with parallel.joined():
            if not parallel.is_first():
                take_part(settings)
                return 0
            result = train(with_run_folder(settings))
    except (TrainingError, OSError) as error:
        log.error("%s", error)
        return 1
    log.info("trained in %.0f s; the model is in %s", result.seconds, result.model_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
