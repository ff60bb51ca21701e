"""Each measure against values worked out by hand, and at its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.statistics import metrics
from training.statistics.intervals import wilson_interval

# Four photos of three classes: right, right, wrong (second), wrong (third).
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.3, 0.6, 0.1]])
TRUTH = np.array([0, 1, 1, 2])


def test_top_k_counts_the_true_class_among_the_k_likeliest() -> None:
    assert metrics.top_k(PROBABILITIES, TRUTH, 1) == 0.5
    assert metrics.top_k(PROBABILITIES, TRUTH, 2) == 0.75
    assert metrics.top_k(PROBABILITIES, TRUTH, 3) == 1.0


def test_a_constant_answer_is_right_by_no_order_of_the_classes() -> None:
    same = np.full((3, 3), 1 / 3)
    assert metrics.top_k(same, np.array([0, 1, 2]), 1) == 0.0


def test_wilson_interval_of_the_textbook() -> None:
    low, high = wilson_interval(9, 10)
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    low, high = wilson_interval(20, 20)
    assert (round(low, 4), high) == (0.8389, 1.0)


def test_confusion_rows_are_true_and_columns_what_they_were_called() -> None:
    matrix = metrics.confusion_matrix(PROBABILITIES.argmax(axis=1), TRUTH, 3)
    assert matrix.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_class_scores_by_hand() -> None:
    matrix = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
    first, second, third = metrics.class_scores(matrix)
    assert (first.support, first.precision, first.recall) == (1, 0.5, 1.0)
    assert first.f1 == pytest.approx(2 / 3)
    assert (second.precision, second.recall, second.f1) == (0.5, 0.5, 0.5)
    assert (third.precision, third.recall, third.f1) == (None, 0.0, 0.0)
    assert metrics.macro_f1([first, second, third]) == pytest.approx((2 / 3 + 0.5) / 3)


def test_class_without_photos_does_not_count_in_the_mean() -> None:
    scores = metrics.class_scores(np.array([[2, 0], [0, 0]]))
    assert metrics.macro_f1(scores) == 1.0


def test_calibration_error_by_hand() -> None:
    # Bins of a fifteenth: .7 and .8 right, .5 wrong, .6 wrong; each alone in its bin.
    expected = (0.3 + 0.2 + 0.5 + 0.6) / 4
    assert metrics.expected_calibration_error(PROBABILITIES, TRUTH) == pytest.approx(expected)


def test_a_confidence_of_one_has_a_bin() -> None:
    (only,) = metrics.reliability(np.array([[1.0, 0.0]]), np.array([0]))
    assert (only.count, only.confidence, only.accuracy) == (1, 1.0, 1.0)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperature_that_spoiled_the_confidences_is_found_again(true_temperature: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (20_000, 5))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([generator.choice(5, p=row) for row in honest])
    spoiled = metrics.tempered(honest, 1 / true_temperature)

    found = metrics.fit_temperature(spoiled, truth)

    assert found == pytest.approx(true_temperature, rel=0.05)
    assert metrics.expected_calibration_error(metrics.tempered(spoiled, found), truth) < 0.015


def test_photos_that_are_all_right_do_not_ask_for_certainty() -> None:
    few, many = (
        metrics.tempered(rows, metrics.fit_temperature(rows, np.zeros(len(rows), int)))[0, 0]
        for rows in (np.array([[0.9, 0.1]] * 8), np.array([[0.9, 0.1]] * 98))
    )
    assert 0.9 < few < many < 0.9999


def test_temperature_of_a_model_that_is_too_sure_by_hand() -> None:
    # Three of four right at 0.9: the odds are 3 instead of 9, which is a temperature of 2.
    def found(times: int) -> float:
        rows, truth = np.array([[0.9, 0.1]] * 4 * times), np.array([0, 0, 0, 1] * times)
        return metrics.fit_temperature(rows, truth)

    assert found(100) == pytest.approx(2.0, rel=0.01)
    assert 1 < found(1) < 2  # four photos say little: the prior holds it nearer to 1


def test_temperature_changes_no_order_and_survives_zeros() -> None:
    rows = np.array([[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]], np.float32)
    for temperature in (0.05, 1.0, 20.0):
        changed = metrics.tempered(rows, temperature)
        assert np.isfinite(changed).all()
        assert changed.sum(axis=1) == pytest.approx([1, 1])
        assert changed.argmax(axis=1).tolist() == [0, 1]
    assert metrics.tempered(rows, 1.0) == pytest.approx(rows, abs=1e-6)


def test_review_threshold_is_the_lowest_that_holds_the_target() -> None:
    # Sorted: .8 right, .7 right, .6 wrong, .5 wrong.
    threshold = metrics.review_threshold(PROBABILITIES, TRUTH, 0.95)
    assert threshold == metrics.Threshold(confidence=0.7, accuracy=1.0, coverage=0.5)
    lower = metrics.review_threshold(PROBABILITIES, TRUTH, 0.6)
    assert lower is not None
    assert (lower.confidence, lower.coverage) == (0.6, 0.75)


def test_photos_of_one_confidence_are_on_one_side_of_the_threshold() -> None:
    rows = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert metrics.review_threshold(rows, np.array([0, 1]), 0.95) is None


def test_no_threshold_where_even_the_surest_is_wrong() -> None:
    assert metrics.review_threshold(np.array([[0.9, 0.1]]), np.array([1]), 0.5) is None


def test_paired_loss_counts_photos_that_differ() -> None:
    first = np.array([True] * 90 + [False] * 10)
    second = np.array([True] * 85 + [False] * 5 + [True] * 2 + [False] * 8)
    loss = metrics.paired_loss(first, second)
    assert (loss.only_first_right, loss.only_second_right) == (5, 2)
    assert loss.points == pytest.approx(3.0)
    low, high = loss.interval
    assert low < 3.0 < high


def test_no_difference_on_few_photos_is_not_taken_for_none() -> None:
    few = metrics.paired_loss(np.ones(20, bool), np.ones(20, bool))
    many = metrics.paired_loss(np.ones(20_000, bool), np.ones(20_000, bool))
    assert few.points == many.points == 0.0
    assert few.interval[1] > 5
    assert many.interval[1] < 0.1
    assert math.isclose(few.interval[0], -few.interval[1])
