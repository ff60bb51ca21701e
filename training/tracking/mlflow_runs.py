"""Sends runs to MLflow where MLFLOW_TRACKING_URI is set; elsewhere it does nothing.

The address may be a server's, a database's, or the ARN of SageMaker's managed MLflow (with the
plugin `sagemaker-mlflow`). If something cannot be sent, it says so once, and the training
continues.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from training.settings import FOLDERS, TrainSettings
from training.tracking.metric_lines import FILE_NAME as METRICS_NAME
from training.tracking.run_folders import RECORD_NAME
from training.watch.observer import EpochMetrics, StopTraining, TrainingObserver

log = logging.getLogger(__name__)

ADDRESS = "MLFLOW_TRACKING_URI"
# In the record of a training and on its card.
RUN_ID = "mlflow_run_id"
# The client's own are seven retries of two minutes each: a server that is away would stop a
# training for a quarter of an hour.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_MEASURED = ("train_loss", "valid_loss", "valid_top1", "valid_top5")
_FACTS = ("data_manifest_sha256", "train_images", "valid_images", "images_left_out")


class MlflowRun(TrainingObserver):
    """One run of MLflow. After the first failure it sends nothing more.

    Args:
        mlflow: the module; its functions are those of mlflow's fluent interface.
    """

    def __init__(self, mlflow: ModuleType) -> None:
        self._mlflow = mlflow
        self._is_lost = False
        self._id: str | None = None

    @property
    def ids(self) -> dict[str, str]:
        """The run's id, for the record and the card; none where it could not be started."""
        return {} if self._id is None else {RUN_ID: self._id}

    def start(self, name: str, run_id: str | None = None) -> None:
        """Starts a run, or continues the run with this id."""

        def send() -> None:
            # A name would replace that of a continued run.
            new_name = name if run_id is None else None
            run = self._mlflow.start_run(run_id, run_name=new_name, log_system_metrics=False)
            self._id = run.info.run_id

        self._send(send)

    def on_settings(self, settings: TrainSettings) -> None:
        """Sends the training's settings."""
        self._settings = settings
        values = {name: value for name, value in settings.to_json().items() if name not in FOLDERS}
        self._send(lambda: self._mlflow.log_params(values))

    def on_epoch(self, metrics: EpochMetrics) -> None:
        values = _numbers(asdict(metrics), (*_MEASURED, "seconds"))
        self._send(lambda: self._mlflow.log_metrics(values, step=metrics.epoch))

    def on_finish(self) -> None:
        """Sends the training's record, its figures of the kept epoch, and the model's folder."""
        folder, model_dir = self._settings.output_dir, self._settings.model_dir
        record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        kept = _numbers(record["metrics"], (*_MEASURED, "epoch"))
        tags = {
            "model": record["model"],
            "model_dir": str(model_dir.absolute()),
            "code_revision": record["code_revision"],
            **{f"version.{name}": each for name, each in record["versions"].items()},
        }
        self._send(lambda: self._mlflow.log_params({name: record[name] for name in _FACTS}))
        self._send(lambda: self._mlflow.log_metrics({f"kept_{name}": kept[name] for name in kept}))
        self._send(lambda: self._mlflow.set_tags(tags))
        self.files([folder / RECORD_NAME, folder / METRICS_NAME])

    def measured(self, metrics: Mapping[str, Any]) -> None:
        """Sends figures without an epoch."""
        self._send(lambda: self._mlflow.log_metrics(_numbers(metrics, tuple(metrics))))

    def files(self, files: Sequence[Path], folder: str | None = None) -> None:
        """Sends files as artefacts, into a folder of the run's."""
        for file in files:
            self._send(partial(self._mlflow.log_artifact, str(file), folder))

    def end(self, status: str) -> None:
        """Ends it as FINISHED, FAILED or KILLED."""
        self._send(lambda: self._mlflow.end_run(status))

    def _send(self, call: Callable[[], object]) -> None:
        if self._is_lost:
            return
        try:
            call()
        # A store or a plugin may raise any exception, and none of them may end a training.
        except Exception as error:  # noqa: BLE001
            self._is_lost = True
            log.warning(
                "MLflow did not accept this run, which continues without it: %s: %s",
                type(error).__name__,
                _without_password(str(error).partition("\n")[0]),
            )


def open_mlflow(environment: MutableMapping[str, str] = os.environ) -> MlflowRun | None:
    """Loads mlflow where MLFLOW_TRACKING_URI is set; None elsewhere, or where it is missing."""
    if not environment.get(ADDRESS):
        return None
    for name, value in PATIENCE.items():
        environment.setdefault(name, value)
    try:
        return MlflowRun(import_module("mlflow"))
    except ImportError as error:
        log.warning(
            "%s is set, but mlflow is not installed (%s): nothing is sent. Install it: pip install "
            "mlflow-skinny (and sagemaker-mlflow for SageMaker's)",
            ADDRESS,
            error,
        )
        return None


@contextmanager
def mlflow_run(settings: TrainSettings) -> Iterator[MlflowRun | None]:
    """A training's run: started with its settings, ended as the block ends; None without MLflow."""
    run = open_mlflow()
    if run is None:
        yield None
        return
    run.start(settings.output_dir.name)
    run.on_settings(settings)
    try:
        yield run
    except (StopTraining, KeyboardInterrupt):
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def add_to_run(
    ids: Mapping[str, object],
    name: str,
    files: Sequence[Path],
    metrics: Mapping[str, float | None] | None = None,
    folder: str | None = None,
) -> None:
    """Adds files and figures to a training's run that has ended, where MLflow is asked for.

    Args:
        ids: of the training's record or card; without MLflow's among them a new run is made.
        name: of the new run.
        folder: of the run's artefacts.
    """
    run = open_mlflow()
    if run is None:
        return
    run_id = ids.get(RUN_ID)
    run.start(name, run_id if isinstance(run_id, str) else None)
    run.measured(metrics or {})
    run.files(files, folder)
    run.end("FINISHED")


def _numbers(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    return {name: float(values[name]) for name in names if values.get(name) is not None}


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)
