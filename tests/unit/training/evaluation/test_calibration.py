"""The calibration of confidences, judged on photos that it was not fitted on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive.reading import extract_archive
from model.graph.temperature import temperature_of, write_calibrated
from model.package import DEFAULT_ARCHIVE
from model.serving.onnx_model import OnnxModel
from tests.unit.training.colour_model import write_colour_model
from tests.unit.training.evaluation.judging import judged
from training.evaluation.calibration import calibrate
from training.evaluation.measure import Predicted
from training.statistics import metrics as classification_metrics
from training.statistics.metrics import tempered


def test_temperature_is_fitted_on_validation_and_sharpens_a_model_that_is_too_modest(
    tmp_path: Path, photos: Path
) -> None:
    modest = write_colour_model(tmp_path / "modest", sharpness=1.0)
    calibration = judged(modest, photos).calibration
    assert 0.1 < calibration.temperature < 0.5
    assert calibration.fitted_on == "12 validation photos"
    assert calibration.threshold is not None
    assert calibration.threshold.coverage == 1.0


def said(confidences: list[float], right: list[bool]) -> Predicted:
    """Photos of two classes, by the confidence of the likelier one, the first."""
    first = np.array(confidences)
    return Predicted(
        images=(),
        probabilities=np.stack([first, 1 - first], axis=1),
        truth=np.where(right, 0, 1),
        gated=np.zeros(len(first), bool),
        rejected=(),
    )


def test_review_threshold_is_judged_on_photos_that_it_was_not_chosen_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification_metrics, "fit_temperature", lambda *_: 1.0)
    validation = said([0.9, 0.8, 0.6], [True, True, False])
    measured = said([0.95, 0.85, 0.7, 0.6], [True, False, False, True])

    calibration = calibrate(measured, validation)

    assert calibration.threshold is not None
    assert calibration.threshold.confidence == pytest.approx(0.8)
    assert (calibration.coverage, calibration.accuracy) == (0.5, 0.5)


def test_without_validation_each_half_is_reviewed_by_the_threshold_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification_metrics, "fit_temperature", lambda *_: 1.0)
    # Even photos: .9 right, .6 wrong: threshold .9. Odd ones: .95 wrong, .7 right: none.
    measured = said([0.9, 0.95, 0.6, 0.7], [True, False, False, True])

    calibration = calibrate(measured, None)

    # Of the odd ones .95 is above .9, and wrong; of the even ones nothing is above.
    assert (calibration.coverage, calibration.accuracy) == (0.25, 0.0)


def test_photos_that_were_learned_from_move_neither_temperature_nor_threshold() -> None:
    confidences, right = [0.9, 0.8, 0.7, 0.6, 0.55], [True, True, False, True, False]
    # Photos of the training, all right and sure, between the new ones.
    learned = np.array([True, False, False, True, False, True, False, False])
    mixed = np.full(8, 0.999), np.full(8, fill_value=True)
    mixed[0][~learned], mixed[1][~learned] = confidences, right

    alone = calibrate(said(confidences, right), None)
    among = calibrate(said(list(mixed[0]), list(mixed[1])), None, learned=learned)

    assert among.temperature == alone.temperature
    assert among.threshold == alone.threshold
    assert "5 of 8" in (among.fitted_on or "")


def test_one_new_photo_is_too_few_to_fit_on() -> None:
    measured = said([0.9, 0.8], [True, True])
    found = calibrate(measured, None, learned=np.array([True, False]))
    assert (found.temperature, found.threshold, found.fitted_on) == (1.0, None, None)


def test_where_no_confidence_is_enough_everything_is_for_review() -> None:
    calibration = calibrate(said([0.9], [True]), said([0.9], [False]))
    assert (calibration.threshold, calibration.coverage, calibration.accuracy) == (None, 0.0, None)


def test_without_a_validation_part_halves_judge_each_other(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(photos / "valid")
    seen: list[int] = []

    def fitted(probabilities: object, truth: np.ndarray[Any, Any], before: float) -> float:
        seen.append(len(truth))
        return 2.0 if len(truth) == 12 else 0.5

    monkeypatch.setattr(classification_metrics, "fit_temperature", fitted)
    calibration = judged(model, photos).calibration
    assert seen == [12, 6, 6]
    assert calibration.temperature == 2.0
    measured = judged(model, photos).measured
    halves = tempered(measured.probabilities, 0.5)
    expected = classification_metrics.expected_calibration_error(halves, measured.truth)
    assert calibration.ece_after == pytest.approx(expected)
    assert "cross-fitted" in calibration.fitted_on


def test_temperature_in_the_graph_is_the_temperature_on_paper(model: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 255, (5, 32, 32, 3), np.uint8)
    images[:, :, :, 0] //= 2
    plain = OnnxModel(model / "model.onnx").run(images).probabilities

    write_calibrated(model / "model.onnx", 0.25, tmp_path / "once.onnx")
    write_calibrated(tmp_path / "once.onnx", 8.0, tmp_path / "twice.onnx")

    once = OnnxModel(tmp_path / "once.onnx").run(images).probabilities
    twice = OnnxModel(tmp_path / "twice.onnx").run(images).probabilities
    assert once == pytest.approx(tempered(plain, 0.25), abs=1e-5)
    assert twice == pytest.approx(tempered(plain, 2.0), abs=1e-5)
    assert temperature_of(model / "model.onnx") == 1.0
    assert temperature_of(tmp_path / "twice.onnx") == pytest.approx(2.0)


def test_gate_is_left_as_it_is(tmp_path: Path) -> None:
    """The default model: its labels' softmax is scaled, the share that its gate looks at is not."""
    extract_archive(DEFAULT_ARCHIVE, tmp_path / "default")
    write_calibrated(tmp_path / "default" / "model.onnx", 2.0, tmp_path / "calibrated.onnx")
    images = np.full((1, 224, 224, 3), 90, np.uint8)
    plain = OnnxModel(tmp_path / "default" / "model.onnx").run(images)
    changed = OnnxModel(tmp_path / "calibrated.onnx").run(images)
    assert changed.known == pytest.approx(plain.known)
    assert changed.probabilities == pytest.approx(tempered(plain.probabilities, 2.0), abs=1e-5)
