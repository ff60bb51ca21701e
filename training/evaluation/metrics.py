"""How good a classifier is: pure functions of probabilities and true classes.

Throughout, `probabilities` is float ``[n, classes]``, each row adding up to 1, and `truth` int
``[n]``, the place of the true class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

CALIBRATION_BINS = 15  # as Guo et al., see `expected_calibration_error`
Z_95 = 1.959964  # of the normal distribution, two-sided 95 %
# A probability that underflowed to 0 still has a logarithm.
_SMALLEST = 1e-30


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: of its `support` images the `recall` were found; of what was called so, the
    `precision` was right. None where nothing was called so, or nothing is there."""

    support: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose confidence lies within a bin of the reliability plot."""

    count: int
    confidence: float
    accuracy: float


def top_k(probabilities: Floats, truth: Ints, k: int) -> float:
    """The share of images whose true class is among the k likeliest; ties count as not.

    A constant answer is not right by chance of the order in which classes are sorted.
    """
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)
    others_not_below = (probabilities >= own).sum(axis=1) - 1
    return float((others_not_below < k).mean())


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Where a share measured on so few may lie, with 95 % confidence.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927):
    unlike the textbook's interval it holds for few images and for shares near 1.
    """
    if count == 0:
        return 0.0, 1.0
    share, z2 = right / count, Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def confusion_matrix(predicted: Ints, truth: Ints, classes: int) -> npt.NDArray[np.int64]:
    """int64 ``[classes, classes]``: rows are true classes, columns what they were called."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def class_scores(matrix: npt.NDArray[np.int64]) -> list[ClassScore]:
    """One a class, of its confusion matrix."""
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
    """The mean F1 of the classes that have images: a rare class counts as much as a common one."""
    there = [each.f1 for each in scores if each.support]
    return sum(there) / len(there) if there else 0.0


def reliability(probabilities: Floats, truth: Ints, bins: int = CALIBRATION_BINS) -> list[Bin]:
    """The likeliest class's confidence against how often it is right, in bins of equal width;
    empty bins are left out."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
        )
        for inside in (place == number for number in range(bins))
        if inside.any()
    ]


def expected_calibration_error(probabilities: Floats, truth: Ints) -> float:
    """ECE: the mean distance of confidence and accuracy, by bins (15, of equal width).

    C. Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3.
    """
    found = reliability(probabilities, truth)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in found) / len(truth)


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """What the softmax had been with all logits divided by the temperature."""
    result: Floats = np.exp(_log_tempered(probabilities, temperature))
    return result


def _log_tempered(probabilities: Floats, temperature: float) -> Floats:
    logits = np.log(np.maximum(probabilities, _SMALLEST).astype(np.float64)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    result: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return result


def _platt_targets(probabilities: Floats, truth: Ints) -> Floats:
    """float64 ``[n, classes]``, rows add up to 1."""
    count = len(truth)
    rows = np.arange(count)
    rivals = np.array(probabilities, np.float64)
    rivals[rows, truth] = -1
    targets = np.zeros(rivals.shape)
    targets[rows, truth] = (count + 1) / (count + 2)
    targets[rows, rivals.argmax(axis=1)] = 1 / (count + 2)
    return targets


def fit_temperature(probabilities: Floats, truth: Ints) -> float:
    """The temperature with the least cross entropy, between 0.05 and 20.

    Guo et al. (2017), section 4.2, with the targets of J. Platt, "Probabilistic outputs for support
    vector machines" (1999), section 2.2: n images speak for a true class of (n + 1) / (n + 2), and
    what is left goes to its strongest rival. Without, n images that are all right would ask for
    certainty, whatever n. The cross entropy has one minimum over 1/T, so a golden section search
    over the logarithm finds it.
    """
    low, high = math.log(0.05), math.log(20.0)
    ratio = (math.sqrt(5) - 1) / 2
    targets = _platt_targets(probabilities, truth)

    def loss(at: float) -> float:
        return -float((targets * _log_tempered(probabilities, math.exp(at))).sum())

    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Below `confidence` a person should look; above it `accuracy` holds for `coverage` of all."""

    confidence: float
    accuracy: float
    coverage: float


def review_threshold(probabilities: Floats, truth: Ints, target: float) -> Threshold | None:
    """The lowest confidence above which at least the target share is right; None when there is
    none, not even for the surest image."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    accuracy = np.cumsum(right) / np.arange(1, len(right) + 1)
    # Images of one confidence are above the threshold together.
    last_of_tie = np.append(np.diff(confidence[order]) != 0, True)
    good = np.nonzero((accuracy >= target) & last_of_tie)[0]
    if not len(good):
        return None
    place = int(good[-1])
    coverage = (place + 1) / len(right)
    return Threshold(float(confidence[order][place]), float(accuracy[place]), coverage)


@dataclass(frozen=True, slots=True)
class PairedLoss:
    """What a second model loses against the first on the same images, in percentage points."""

    points: float
    interval: tuple[float, float]  # 95 %
    only_first_right: int
    only_second_right: int


def paired_loss(
    first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]
) -> PairedLoss:
    """
    The interval is that of paired proportions with a half added to both kinds of difference
    (A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", 2005), so that no difference on few images is not taken for none.
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    count = len(first_right)
    more_first, more_second, all_of_them = only_first + 0.5, only_second + 0.5, count + 2
    middle = (more_first - more_second) / all_of_them
    variance = (more_first + more_second) / all_of_them - middle**2
    reach = Z_95 * math.sqrt(variance / all_of_them)
    return PairedLoss(
        points=100 * (only_first - only_second) / count,
        interval=(100 * (middle - reach), 100 * (middle + reach)),
        only_first_right=only_first,
        only_second_right=only_second,
    )
