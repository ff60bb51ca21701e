"""`training.html`: every fact of the record, readable curves, written by `imagedrop train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from tests.text_boxes import unreadable_texts
from training.reports.training import training_page


def epoch(number: int, valid: float | None = 0.5) -> dict[str, Any]:
    return {
        "epoch": number,
        "phase": "head",
        "train_loss": 1 / number,
        "valid_loss": valid,
        "valid_top1": valid,
        "valid_top5": valid and 0.75,
        "seconds": 0.25,
    }


def record(**changes: Any) -> dict[str, Any]:
    return {
        "model": "my-dogs@1",
        "settings": {"data": "photos/<img src=x onerror=alert(1)>"},
        "metrics": epoch(3),
        "history": [epoch(number) for number in range(1, 5)],
        "folds": [],
        "labels": ["pug", "beagle"],
        "architecture": "resnet50",
        "initial_weights": "imagenet",
        "data_manifest_sha256": "ab" * 32,
        "train_images": 1_250,
        "valid_images": 34,
        "images_left_out": 2,
        "code_revision": "0123abc",
        "hyperparameters": {"lr": 0.0001, "batch_size": 32, "amp": False, "unfreeze": "none"},
        "seconds": 12.34,
        "versions": {"torch": "2.14.1"},
    } | changes


@pytest.mark.parametrize(
    "fact",
    [
        "Training of my-dogs@1",
        "resnet50 (imagenet weights)",
        "1,250",
        "50.0\u00a0%",
        "75.0\u00a0%",
        "0.5000",
        "0.0001",
        "batch size",
        "2.14.1",
        "0123abc",
        "ab" * 32,
        "The validation photos also chose the epoch",
    ],
)
def test_every_fact_of_the_record_is_shown(fact: str) -> None:
    assert fact in training_page(record())


def test_hostile_path_is_text_and_charts_are_readable() -> None:
    page = training_page(record())
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert unreadable_texts(page) == []


def test_folds_are_listed_and_said_to_be_the_mean() -> None:
    page = training_page(record(folds=[epoch(4, 0.125), epoch(4, 0.375)]))
    assert "the mean of 2 folds" in page
    assert "12.5\u00a0%" in page
    assert "37.5\u00a0%" in page


def test_the_spread_over_folds_is_shown_in_numbers_and_readable_charts() -> None:
    top1 = {"mean": 0.91, "interval": [0.84, 0.95], "folds": [0.875, 0.9, 0.9375], "seeds": [0.91]}
    loss = {"mean": 0.31, "interval": [0.2, 0.42], "folds": [0.25, 0.3, 0.4], "seeds": [0.31]}
    page = training_page(record(folds=[epoch(4)] * 3, spread={"top1": top1, "log_loss": loss}))
    for figure in ("84.0\u00a0%", "95.0\u00a0%", "93.8\u00a0%", "0.2000", "0.4200", "0.4000"):
        assert figure in page
    assert page.count('class="chart"') == 4
    assert "all photos, with a 95 % interval" in page
    assert unreadable_texts(page) == []


def test_training_without_validation_has_a_page() -> None:
    epochs = [epoch(1, None), epoch(2, None)]
    page = training_page(record(history=epochs, metrics=epochs[-1], valid_images=0))
    assert page.count('class="chart"') == 1
    assert "validation top-1" not in page


def test_train_command_writes_the_page(photos: Path, feature_cache: Path, tmp_path: Path) -> None:
    arguments = ["train", "--data", str(photos), "--feature-cache", str(feature_cache)]
    arguments += ["--backbone", "efficientnet_lite0", "--epochs", "2", "--batch-size", "8"]
    folders = ["--model-dir", str(tmp_path / "model"), "--output-dir", str(tmp_path / "output")]
    done = CliRunner().invoke(app, [*arguments, *folders])
    assert done.exit_code == 0, done.output
    assert "Training of" in (tmp_path / "output" / "training.html").read_text()
    assert "training.html" in done.stderr.replace("\n", "")
