"""Ranks the photos with doubtful labels, by answers of models not trained on them.

C. Northcutt, L. Jiang and I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(JAIR 2021, arXiv:1911.00068): a label is doubtful when another label's probability reaches what is
usual among that label's own photos. The order is that of self-confidence, the probability of the
label that the photo has, which their section 4 and J. Kuan and J. Mueller, "Model-agnostic label
quality scoring to detect real-world label errors" (2022), rank by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FOLDS = 5
# In units of the features' mean square; photos are often fewer than features. Of 8 planted wrong
# labels among 159 photos, 0.3 to 10 show all within the first 14, for each of 8 seeds.
RIDGE = 3.0


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A photo whose label is doubtful."""

    row: int
    confidence: float
    """0..1: the probability of its own label."""
    suggested: int
    """The label that is more probable."""
    suggested_confidence: float
    is_confident: bool
    """Whether the suggested label is as probable as it usually is for its own photos."""


def doubtful_labels(
    probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]
) -> tuple[Doubtful, ...]:
    """Ranks the photos that another label fits better; the most doubtful first.

    Those that confident learning takes for errors come first, because a hard photo of a hard label
    has a low self-confidence too; within both groups the lowest self-confidence comes first.

    Args:
        probabilities: float64 [n, c], of answers by models that were not trained on the photo.
        truth: int64 [n], the labels that they have.
    """
    own = probabilities[np.arange(len(truth)), truth]
    usual = _usual(own, truth, probabilities.shape[1])
    others = probabilities.copy()
    others[np.arange(len(truth)), truth] = -1.0
    suggested = others.argmax(axis=1)
    best = others.max(axis=1, initial=-1.0)
    confident = ((others >= usual) & (others >= 0)).any(axis=1) & (best > own)
    found = [row for row in np.argsort(own, kind="stable").tolist() if best[row] > own[row]]
    found.sort(key=lambda row: not confident[row])
    return tuple(
        Doubtful(row, float(own[row]), int(suggested[row]), float(best[row]), bool(confident[row]))
        for row in found
    )


def out_of_fold_probabilities(
    features: npt.NDArray[np.float32], truth: npt.NDArray[np.int64], groups: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Answers each photo by a ridge regression that was not fitted on it, float64 [n, c].

    Its scores become probabilities by a softmax whose temperature fits the same answers best. It
    solves one system of n or d equations a fold, the fewer ones, and needs no torch.

    Args:
        features: float32 [n, d].
        truth: int64 [n].
        groups: photos of the same number stay in one fold, such as copies of one photo.
    """
    classes = int(truth.max()) + 1
    fold_of = _folds(np.asarray(groups), truth)
    values = _standardised(features)
    targets = np.eye(classes, dtype=np.float32)[truth]
    held_out = [fold_of == fold for fold in range(FOLDS) if (fold_of == fold).any()]
    scores = np.zeros((len(truth), classes), np.float32)
    answer = _by_photos if len(values) < values.shape[1] else _by_features
    for left, found in zip(held_out, answer(values, targets, held_out), strict=True):
        scores[left] = found
    return _softmax(scores, truth)


def _by_features(
    values: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    held_out: Sequence[npt.NDArray[np.bool_]],
) -> Iterator[npt.NDArray[np.floating]]:
    """Yields the scores of the photos that are left out, with a weight for each feature."""
    whole = values.T @ values, values.T @ targets
    for left in held_out:
        held = values[left]
        gram = whole[0] - held.T @ held
        gram[np.diag_indices_from(gram)] += _hold(gram, values)
        yield held @ np.linalg.solve(gram, whole[1] - held.T @ targets[left])


def _by_photos(
    values: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    held_out: Sequence[npt.NDArray[np.bool_]],
) -> Iterator[npt.NDArray[np.floating]]:
    """Yields the same scores, with a weight for each photo: V(V'V + r)^-1 V' = VV'(VV' + r)^-1."""
    products = values @ values.T
    for left in held_out:
        gram = products[np.ix_(~left, ~left)]
        gram[np.diag_indices_from(gram)] += _hold(gram, values)
        yield products[np.ix_(left, ~left)] @ np.linalg.solve(gram, targets[~left])


def _hold(gram: npt.NDArray[np.float32], values: npt.NDArray[np.float32]) -> float:
    """The ridge's penalty; both products of the same values have the same trace."""
    return float(RIDGE * np.trace(gram) / values.shape[1] + 1e-6)


def _usual(
    own: npt.NDArray[np.float64], truth: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.float64]:
    """The mean self-confidence of each label's photos; more than 1 for a label without photos."""
    counts = np.bincount(truth, minlength=classes)
    sums = np.bincount(truth, own, minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), 2.0)


def _folds(groups: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A fold for each photo, even within each label; a group goes where its first photo goes."""
    random = np.random.default_rng(1)
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    order = random.permutation(len(first))
    # By label, in a random order within it, dealt out one after the other.
    order = order[np.argsort(truth[first[order]], kind="stable")]
    fold_of_group = np.empty(len(first), np.int64)
    fold_of_group[order] = np.arange(len(first)) % FOLDS
    return fold_of_group[group_of.reshape(-1)]


def _standardised(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = features - features.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    values = centred / np.maximum(lengths, 1e-9)
    return np.hstack([values, np.full((len(values), 1), 0.1, np.float32)])


def _softmax(
    scores: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    rows = np.arange(len(truth))

    def probabilities(sharpness: float) -> npt.NDArray[np.float64]:
        powers = np.exp(sharpness * (scores - scores.max(axis=1, keepdims=True)).astype(np.float64))
        shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def loss(sharpness: float) -> float:
        return float(-np.log(np.maximum(probabilities(sharpness)[rows, truth], 1e-12)).mean())

    return probabilities(min((2.0**step for step in range(11)), key=loss))
