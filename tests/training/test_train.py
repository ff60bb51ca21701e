"""Trainings: hyperparameters, folds, the command, and photos that are left out."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from archive.card import read_model_card
from imagedrop.cli import app
from tests.metric_lines import read_metric
from training.data import dataset
from training.data.dataset import DataSet, file_sha256
from training.data.partition import Partition, partition
from training.errors import TrainingError
from training.export import exporting
from training.loop.plans import loss_function
from training.loop.prepared import Prepared, prepare
from training.statistics.out_of_fold import cross_entropy, read_out_of_fold
from training.train import fit, main, train
from training.watch.observer import EpochMetrics, StopTraining, TrainingObserver

from .conftest import (
    LABELS,
    Configure,
    Watched,
    draw,
    draw_folder,
)


def test_same_seed_trains_the_same_network(prepared: Prepared, configure: Configure) -> None:
    first, again = (fit(prepared, configure(seed=4)) for _ in range(2))
    other = fit(prepared, configure(seed=5))

    assert torch.equal(first.network.head[-1].weight, again.network.head[-1].weight)  # type: ignore[arg-type]
    assert not torch.equal(first.network.head[-1].weight, other.network.head[-1].weight)  # type: ignore[arg-type]


def test_both_phases_use_the_learning_rates_they_are_given(
    prepared: Prepared, configure: Configure
) -> None:
    watched = Watched()

    fit(
        prepared,
        configure(lr=0.014, epochs=1, unfreeze="layer4", finetune_lr=3e-4, finetune_epochs=1),
        [watched],
    )

    assert watched.rates == [[0.014], pytest.approx([3e-4, 3e-4 / 2.6])]


def test_epochs_and_steps_are_counted_through_both_phases(
    prepared: Prepared, configure: Configure
) -> None:
    watched = Watched()

    fit(prepared, configure(epochs=2, unfreeze="layer4", finetune_epochs=1), [watched])

    # 24 photos in batches of 8; the last fifth is for validation.
    assert watched.steps == [("head", step) for step in range(6)] + [
        ("finetune", step) for step in range(6, 9)
    ]
    assert [(each.phase, each.epoch) for each in watched.epochs] == [
        ("head", 1),
        ("head", 2),
        ("finetune", 3),
    ]
    assert watched.ended == 1


def test_every_hyperparameter_of_the_loss_reaches_it(
    prepared: Prepared, configure: Configure
) -> None:
    plain = fit(prepared, configure(epochs=1)).history[0]
    smoothed = fit(prepared, configure(epochs=1, label_smoothing=0.5)).history[0]

    assert smoothed.train_loss > plain.train_loss


def test_class_weights_are_inverse_to_a_classs_images(tmp_path: Path, configure: Configure) -> None:
    folder = draw_folder(tmp_path / "photos", 6)
    for number in range(2, 6):
        next((folder / "sky").glob(f"{number:02}.*")).unlink()
    settings = configure(data=folder, class_weights=True)
    prepared = prepare(settings)
    everything = Partition(tuple(range(14)), ())

    loss = loss_function(prepared, settings, everything)

    assert loss.weight is not None
    assert loss.weight.tolist() == pytest.approx([14 / 18, 14 / 18, 14 / 6])


def test_folds_validate_each_photo_once_and_the_model_learns_from_all(
    prepared: Prepared, configure: Configure
) -> None:
    fitted = fit(prepared, configure(folds=3))

    assert len(fitted.folds) == 3
    assert fitted.metrics.valid_top1 == pytest.approx(
        sum(fold.valid_top1 or 0 for fold in fitted.folds) / 3
    )
    assert fitted.spread is not None
    assert fitted.spread.log_loss.folds == pytest.approx(
        [fold.valid_loss for fold in fitted.folds], rel=1e-5
    )
    assert len(fitted.partition.train) == len(prepared.images)
    assert fitted.history[-1].valid_top1 is None


def test_answers_out_of_fold_are_kept_of_every_photo_and_make_the_printed_figures(
    configure: Configure,
) -> None:
    settings = configure(folds=3, seeds=2)

    result = train(settings)

    kept = read_out_of_fold(settings.output_dir)
    data = DataSet.scan(settings.data)
    assert kept.kind == "folds"
    assert kept.labels == LABELS
    assert kept.paths == tuple(
        image.path.relative_to(data.folder).as_posix() for image in data.images
    )
    assert kept.digests == tuple(file_sha256(image.path) for image in data.images)
    assert kept.truth.tolist() == [image.class_index for image in data.images]
    assert kept.seeds == (1, 2)
    assert kept.logits.shape == (2, 30, 3)
    assert not np.array_equal(kept.fold[0], kept.fold[1])
    for number, fold in enumerate(result.folds):
        of_fold = kept.fold[number // 3] == number % 3
        losses = cross_entropy(kept.logits[number // 3][of_fold], kept.truth[of_fold])
        assert losses.mean() == pytest.approx(fold.valid_loss, rel=1e-5)


def test_cross_validation_prints_the_mean_for_the_tuner(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(configure(folds=2, epochs=2))

    lines = capsys.readouterr().out.splitlines()
    assert read_metric(lines[-1], "valid_top1") == pytest.approx(
        result.metrics.valid_top1, abs=1e-4
    )
    assert [read_metric(line, "valid_top1") for line in lines[:-1]] == [None, None]
    card = read_model_card(result.model_dir / "model.json")
    assert "2-fold" in str(card.metrics["measured_on"])
    low, high = card.metrics["top1_interval"]  # type: ignore[misc]
    assert low <= card.metrics["top1"] <= high  # type: ignore[operator]


def test_test_photos_are_never_trained_or_measured_on(tmp_path: Path, configure: Configure) -> None:
    for split in ("train", "valid", "test"):
        draw_folder(tmp_path / "photos" / split, 3)
    prepared = prepare(configure(data=tmp_path / "photos"))

    for settings in (configure(), configure(folds=3)):
        parts = fit(prepared, settings).partition
        used = {prepared.images[row].split for row in parts.train + parts.valid}
        assert used == {"train", "valid"}
    assert {prepared.images[row].split for row in partition(prepared.images, 1).train} == {"train"}


def test_stopped_training_exports_nothing(configure: Configure) -> None:
    class Stopper(TrainingObserver):
        ended = 0

        def on_epoch(self, metrics: EpochMetrics) -> None:
            raise StopTraining

        def on_end(self) -> None:
            self.ended += 1

    settings, stopper = configure(), Stopper()
    with pytest.raises(StopTraining):
        train(settings, [stopper])

    assert stopper.ended == 1
    assert not settings.model_dir.exists()
    assert not (settings.output_dir / "failure").exists()


def test_command_fails_with_one_sentence_for_a_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        code = main(
            ["--data", str(tmp_path), "--weights", "nowhere.pth", "--output-dir", str(tmp_path)]
        )

    assert code == 1
    assert (tmp_path / "failure").read_text().strip() == caplog.messages[-1]


def test_missing_export_library_is_told_before_the_training(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "EXPORT_TOOLS", ("onnx", "a_library_that_is_not_there"))

    with pytest.raises(TrainingError, match="a_library_that_is_not_there"):
        train(configure())


@pytest.mark.parametrize("kind", ["loose", "forbidden", "broken disk"])
def test_photo_that_is_left_out_is_named_and_the_rest_is_trained(  # noqa: PLR0917
    tmp_path: Path,
    photos: Path,
    feature_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    missing = folder / ("loose.jpg" if kind == "loose" else "sky/more.jpg")
    draw((9, 9, 9), 5).save(missing)

    def sha256(of: Path) -> str:
        if of == missing:
            raise OSError(errno.EIO, "Input/output error", str(of))
        return file_sha256(of)

    if kind == "forbidden":
        monkeypatch.setattr(os, "access", lambda of, _: of != missing)
    if kind == "broken disk":
        monkeypatch.setattr(dataset, "file_sha256", sha256)
    words = ["--data", str(folder), "--feature-cache", str(feature_cache), "--epochs", "1"]
    words += ["--backbone", "efficientnet_lite0", "--output-dir", str(tmp_path / "output")]
    model = tmp_path / "model"

    result = CliRunner().invoke(app, ["train", *words, "--model-dir", str(model)])

    assert result.exit_code == 1, result.output
    (line,) = (each for each in caplog.messages if each.startswith("Left out"))
    assert str(missing) in line
    assert read_model_card(model / "model.json").labels == LABELS
    # SageMaker keeps nothing of a job that fails.
    assert main([*words, "--model-dir", str(model)]) == 0


def test_class_without_a_photo_to_train_on_is_refused(
    tmp_path: Path, configure: Configure, photos: Path
) -> None:
    for part, labels in (("train", ("sky",)), ("valid", ("sky", "001.Green_apple"))):
        for label in labels:
            shutil.copytree(photos / label, tmp_path / "data" / part / label)
    shutil.copytree(photos / "002.Ripe_tomato", tmp_path / "data" / "train" / "002.Ripe_tomato")
    with pytest.raises(TrainingError, match="no usable photo to train on: Green_apple"):
        train(configure(data=tmp_path / "data"))
