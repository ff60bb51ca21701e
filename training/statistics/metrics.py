"""Metrics of a classifier: pure functions of probabilities and true classes.

Throughout, `probabilities` is float ``[n, classes]``, each row adding up to 1, and `truth` int
``[n]``, the index of the true class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.statistics.intervals import paired_interval

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

CALIBRATION_BINS = 15  # as Guo et al., see `expected_calibration_error`
# Stands in for a probability that underflowed to 0, so that it has a logarithm.
_SMALLEST = 1e-30


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of one class of `support` images.

    Precision is None where no image was given the label, recall where no image has it.
    """

    support: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, slots=True)
class Bin:
    """The predictions in one bin of the reliability plot: their mean confidence and accuracy."""

    count: int
    confidence: float
    accuracy: float


def top_k(probabilities: Floats, truth: Ints, k: int) -> float:
    """The share of images whose true class is among the k likeliest; a tie counts as wrong.

    So the order of the classes does not decide whether a constant answer is right.
    """
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)
    others_not_below = (probabilities >= own).sum(axis=1) - 1
    return float((others_not_below < k).mean())


def confusion_matrix(predicted: Ints, truth: Ints, classes: int) -> npt.NDArray[np.int64]:
    """int64 ``[classes, classes]``: rows are true classes, columns predicted ones."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def class_scores(matrix: npt.NDArray[np.int64]) -> list[ClassScore]:
    """The scores of every class of a confusion matrix."""
    scores = []
    for place in range(len(matrix)):
        right = int(matrix[place, place])
        support, called = int(matrix[place].sum()), int(matrix[:, place].sum())
        scores.append(
            ClassScore(
                support=support,
                precision=right / called if called else None,
                recall=right / support if support else None,
                f1=2 * right / (support + called) if support + called else 0.0,
            )
        )
    return scores


def macro_f1(scores: Sequence[ClassScore]) -> float:
    """The mean F1 of the classes that have images; every class counts the same."""
    there = [each.f1 for each in scores if each.support]
    return sum(there) / len(there) if there else 0.0


def reliability(probabilities: Floats, truth: Ints) -> list[Bin]:
    """The reliability plot: confidence and accuracy of the likeliest class, in bins of equal width.

    Empty bins are left out.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        Bin(
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
        )
        for inside in (place == number for number in range(CALIBRATION_BINS))
        if inside.any()
    ]


def expected_calibration_error(probabilities: Floats, truth: Ints) -> float:
    """ECE: the mean distance of confidence and accuracy over CALIBRATION_BINS bins.

    C. Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3.
    """
    found = reliability(probabilities, truth)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in found) / len(truth)


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """The probabilities of a softmax whose logits are divided by the temperature."""
    result: Floats = np.exp(_log_tempered(probabilities, temperature))
    return result


def _log_tempered(probabilities: Floats, temperature: float) -> Floats:
    logits = np.log(np.maximum(probabilities, _SMALLEST).astype(np.float64)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    result: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return result


def fit_temperature(probabilities: Floats, truth: Ints, before: float = 1.0) -> float:
    """Finds the likeliest temperature, between 0.05 and 20.

    C. Guo et al. (2017), section 4.2: the least cross entropy. To that a prior adds
    `log(T)**2 / 2`, a normal distribution of log T around 0 with the standard deviation 1, as if
    we had known before that T is hardly below 1/7 or above 7. So n images that are all right do
    not lead to full certainty, and beyond a few dozen images the prior hardly counts.
    docs/decisions/training.md compares it with Platt's targets.

    Args:
        before: the temperature that the probabilities have already; the prior is about the product,
            so that a second fit on the same images is 1.
    """
    low, high = math.log(0.05), math.log(20.0)
    ratio = (math.sqrt(5) - 1) / 2
    rows = np.arange(len(truth))

    def loss(at: float) -> float:
        likelihoods = _log_tempered(probabilities, math.exp(at))[rows, truth]
        return (at + math.log(before)) ** 2 / 2 - float(likelihoods.sum())

    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Images below `confidence` need review; the others, a share `coverage`, have `accuracy`."""

    confidence: float
    accuracy: float
    coverage: float


def review_threshold(probabilities: Floats, truth: Ints, target: float) -> Threshold | None:
    """Finds the lowest confidence from which on at least the target share is right.

    None when even the most confident image is wrong.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    accuracy = np.cumsum(right) / np.arange(1, len(right) + 1)
    # Images of the same confidence are on the same side of the threshold.
    last_of_tie = np.append(np.diff(confidence[order]) != 0, True)
    good = np.nonzero((accuracy >= target) & last_of_tie)[0]
    if not len(good):
        return None
    place = int(good[-1])
    coverage = (place + 1) / len(right)
    return Threshold(float(confidence[order][place]), float(accuracy[place]), coverage)


@dataclass(frozen=True, slots=True)
class PairedLoss:
    """The accuracy that a second model loses on the same images, in percentage points."""

    points: float
    interval: tuple[float, float]  # 95 %
    only_first_right: int
    only_second_right: int


def paired_loss(
    first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]
) -> PairedLoss:
    """Compares two models that judged the same images.

    Args:
        first_right: bool ``[n]``, whether the first model is right.
        second_right: bool ``[n]``.
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    points, interval = paired_interval(only_first, only_second, len(first_right))
    return PairedLoss(points, interval, only_first, only_second)
