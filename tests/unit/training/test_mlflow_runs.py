"""The data sent to MLflow, by a client that records its calls; and trainings without MLflow."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from training.settings import TrainSettings
from training.tracking.mlflow_runs import ADDRESS, PATIENCE, add_to_run, mlflow_run, open_mlflow
from training.watch.observer import EpochMetrics, StopTraining

EPOCH = EpochMetrics(3, "head", 0.5, 0.25, 0.75, None, 1.5)


class RecordingMlflow(ModuleType):
    """The functions of mlflow that are called; each call is kept."""

    def __init__(self, lost_at: str = "") -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[str, Any]] = []
        self._lost_at = lost_at

    def _keep(self, name: str, value: Any) -> None:
        self.calls.append((name, value))
        if name == self._lost_at:
            raise ConnectionError("no answer from https://me:secret@host/api")

    def start_run(self, run_id: str | None, run_name: str | None, log_system_metrics: bool) -> Any:
        self._keep("start", (run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "4f1"))

    def log_params(self, params: dict[str, Any]) -> None:
        self._keep("params", params)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._keep("metrics", (metrics, step))

    def set_tags(self, tags: dict[str, str]) -> None:
        self._keep("tags", tags)

    def log_artifact(self, path: str, folder: str | None) -> None:
        self._keep("artefact", (Path(path).name, folder))

    def end_run(self, status: str) -> None:
        self._keep("end", status)

    def named(self, name: str) -> list[Any]:
        return [value for each, value in self.calls if each == name]


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings(
        data=Path("secret-place"), output_dir=tmp_path / "dogs-1", model_dir=tmp_path / "model"
    )


def recording(monkeypatch: pytest.MonkeyPatch, lost_at: str = "") -> RecordingMlflow:
    mlflow = RecordingMlflow(lost_at)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setenv(ADDRESS, "http://127.0.0.1:1")
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    return mlflow


def finished(settings: TrainSettings) -> None:
    """The files of an export in the run's folder."""
    settings.output_dir.mkdir()
    (settings.output_dir / "metrics.jsonl").write_text("{}\n")
    record = {
        "model": "dogs@1",
        "code_revision": "abc",
        "versions": {"torch": "2.14.1"},
        "metrics": asdict(EPOCH),
        "data_manifest_sha256": "13ce",
        "train_images": 80,
        "valid_images": 20,
        "images_left_out": 1,
    }
    (settings.output_dir / "training.json").write_text(json.dumps(record))


def test_a_run_has_settings_epochs_record_and_where_the_model_is(
    monkeypatch: pytest.MonkeyPatch, settings: TrainSettings
) -> None:
    mlflow = recording(monkeypatch)

    with mlflow_run(settings) as run:
        assert run is not None
        run.on_epoch(EPOCH)
        finished(settings)
        run.on_finish()

    assert run.ids == {"mlflow_run_id": "4f1"}
    assert mlflow.calls[0] == ("start", (None, "dogs-1"))
    asked, found = mlflow.named("params")
    assert asked["lr"] == 0.01
    assert asked["backbone"] == "resnet50"
    assert not {"data", "model_dir", "output_dir", "feature_cache"} & set(asked)
    assert found["data_manifest_sha256"] == "13ce"
    # What was not measured is not sent.
    measured = {"train_loss": 0.5, "valid_loss": 0.25, "valid_top1": 0.75}
    epoch, kept = mlflow.named("metrics")
    assert epoch == ({**measured, "seconds": 1.5}, 3)
    assert kept == (
        {**{f"kept_{name}": each for name, each in measured.items()}, "kept_epoch": 3},
        None,
    )
    (tags,) = mlflow.named("tags")
    assert tags["model_dir"] == str(settings.model_dir)
    assert tags["version.torch"] == "2.14.1"
    assert mlflow.named("artefact") == [("training.json", None), ("metrics.jsonl", None)]
    assert mlflow.calls[-1] == ("end", "FINISHED")


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError, "FAILED"), (StopTraining, "KILLED"), (KeyboardInterrupt, "KILLED")],
)
def test_a_training_that_does_not_end_well_is_marked_so(
    error: type[BaseException],
    status: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: TrainSettings,
) -> None:
    mlflow = recording(monkeypatch)

    with pytest.raises(error), mlflow_run(settings):
        raise error

    assert mlflow.calls[-1] == ("end", status)


def test_without_an_address_mlflow_is_not_even_imported(
    monkeypatch: pytest.MonkeyPatch, settings: TrainSettings
) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    environment: dict[str, str] = {}

    assert open_mlflow(environment) is None
    with mlflow_run(settings) as run:
        assert run is None
    add_to_run({}, "name", [])

    assert environment == {}
    assert "mlflow" not in sys.modules


@pytest.mark.parametrize("lost_at", ["start", "metrics", "artefact"])
def test_a_server_that_is_away_is_said_once_and_fails_no_training(
    lost_at: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: TrainSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mlflow = recording(monkeypatch, lost_at)

    with caplog.at_level(logging.WARNING), mlflow_run(settings) as run:
        assert run is not None
        run.on_epoch(EPOCH)
        run.on_epoch(EPOCH)
        finished(settings)
        run.on_finish()

    (message,) = caplog.messages
    assert "MLflow did not accept this run" in message
    assert "secret" not in message
    # It is not asked again.
    assert mlflow.calls[-1][0] == lost_at


def test_missing_mlflow_is_said_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: TrainSettings, caplog: pytest.LogCaptureFixture
) -> None:
    recording(monkeypatch)
    monkeypatch.setitem(sys.modules, "mlflow", None)

    with mlflow_run(settings) as run:
        assert run is None

    assert "pip install mlflow-skinny" in caplog.text


def test_client_gives_up_soon_unless_told_otherwise() -> None:
    environment = {ADDRESS: "http://127.0.0.1:1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}

    open_mlflow(environment)

    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


@pytest.mark.parametrize(
    ("ids", "started"),
    [({"mlflow_run_id": "77"}, ("77", None)), ({}, (None, "evaluation-1"))],
)
def test_an_evaluation_is_added_to_its_models_run_or_makes_its_own(
    ids: dict[str, object],
    started: tuple[object, object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    mlflow = recording(monkeypatch)
    page = tmp_path / "evaluation.html"

    add_to_run(ids, "evaluation-1", [page], {"evaluation_top1": 0.9, "none": None}, "evaluation-1")

    assert mlflow.calls == [
        ("start", started),
        ("metrics", ({"evaluation_top1": 0.9}, None)),
        ("artefact", ("evaluation.html", "evaluation-1")),
        ("end", "FINISHED"),
    ]
