"""Measures how familiar a photo looks to a trained model: the gate that refuses other things.

The familiarity of a photo is the cosine of its features, centred and scaled as the head gets them,
and the nearest prototype; each class has PER_CLASS prototypes, means of its training photos
(spherical k-means: I. Dhillon and D. Modha, 2001). A threshold comes from photos of the training
that were left out of the prototypes: the gate refuses a photo if at most REFUSED of those look as
unfamiliar, a conformal p-value (S. Bates et al., "Testing for outliers with conformal p-values",
2023). So no photo of other things is needed. docs/decisions/training.md compares the choices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.graph.gate import GateTables

PER_CLASS = 2
FOLDS = 4
REFUSED = 0.02  # of new photos of the model's classes, at most
MIN_PHOTOS = 49  # fewer cannot show that at most 2 % are refused: 1 / (49 + 1)
MAX_PHOTOS = 20_000  # of more, an even selection
MAX_KNOTS = 200
ITERATIONS = 10

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Familiarity:
    """A fitted gate.

    Attributes:
        tables: what the graph gets.
        minimum: the least `known` of a photo that is not refused.
        photos: left-out photos that the threshold comes from.
        refused: the largest expected share of refused photos of the model's classes.
        new_classes_refused: the share of photos that is refused when their classes are left out of
            the gate, a third of the classes at a time; None with fewer than three classes.
        before_finetuning: whether the features are of the backbone before it was fine-tuned.
    """

    tables: GateTables
    minimum: float
    photos: int
    refused: float
    new_classes_refused: float | None
    before_finetuning: bool = False

    def to_json(self) -> dict[str, object]:
        """The card's entry about the gate."""
        return {
            "rule": "cosine to the nearest of the classes' prototypes",
            "features": "before fine-tuning" if self.before_finetuning else "the classifier's own",
            "prototypes": len(self.tables.prototypes),
            "photos": self.photos,
            "known_refused": round(self.refused, 4),
            "new_classes_refused": self.new_classes_refused,
        }


def fit_familiarity(
    features: Callable[[Sequence[int]], Floats],
    rows: Sequence[int],
    classes: Ints,
    first_alike: Sequence[int],
) -> Familiarity | None:
    """Fits the gate; None when the photos are too few to measure a threshold.

    Args:
        features: gives the features of some rows, as the head gets them: float32 [n, d].
        rows: those that the model learned from or chose its epoch by.
        classes: of all rows.
        first_alike: of each row, the first that looks the same; those stay in one fold.
    """
    rows = selected(rows)
    units = unit_lengths(features(rows))
    labels = classes[list(rows)]
    fold = _folds(labels, [first_alike[row] for row in rows])
    scores = _left_out_scores(units, labels, fold)
    measured = np.sort(scores[np.isfinite(scores)])
    if len(measured) < MIN_PHOTOS:
        return None
    count = int(REFUSED * (len(measured) + 1))
    knots, weights = _p_value_steps(measured, count)
    return Familiarity(
        tables=GateTables(_quantised(prototypes(units, labels)), knots, weights),
        # Between two steps of the p-value, so that rounding decides nothing.
        minimum=(count + 0.5) / (len(measured) + 1),
        photos=len(measured),
        refused=count / (len(measured) + 1),
        new_classes_refused=_new_classes_refused(units, labels, fold),
    )


def prototypes(units: Floats, labels: Ints) -> Floats:
    """Returns up to PER_CLASS prototypes for each class, of length 1: float32 [p, d]."""
    return np.concatenate([_means(units[labels == label]) for label in np.unique(labels)])


def familiarity(units: Floats, nearest: Floats) -> Scores:
    """Returns the cosine to the nearest prototype: float32 [n, d], [p, d] to float64 [n]."""
    best: Scores = (units @ nearest.T).max(axis=1).astype(np.float64)
    return best


def selected(rows: Sequence[int]) -> list[int]:
    """An even selection of at most MAX_PHOTOS rows, ascending."""
    step = -(-len(rows) // MAX_PHOTOS)
    return sorted(rows)[:: max(1, step)]


def unit_lengths(features: Floats) -> Floats:
    """Scales each row of float32 [n, d] to length 1."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    units: Floats = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    return units


def _means(units: Floats) -> Floats:
    """Spherical k-means from the photo nearest to the mean and those farthest from the chosen."""
    chosen = [int((units @ units.mean(axis=0)).argmax())]
    while len(chosen) < min(PER_CLASS, len(units)):
        chosen.append(int((units @ units[chosen].T).max(axis=1).argmin()))
    means = units[chosen]
    for _ in range(ITERATIONS):
        nearest = (units @ means.T).argmax(axis=1)
        members = [units[nearest == place] for place in range(len(means))]
        means = unit_lengths(
            np.stack(
                [
                    each.mean(axis=0) if len(each) else mean
                    for each, mean in zip(members, means, strict=True)
                ]
            )
        )
    return means


def _folds(labels: Ints, alike: Sequence[int]) -> Ints:
    """Assigns FOLDS blocks of each class; -1 where a class has one photo and cannot be left out.

    Blocks, because photos of the same occasion are neighbours.
    """
    fold = np.full(len(labels), -1)
    firsts = np.asarray(alike)
    for label in np.unique(labels):
        places = np.nonzero(labels == label)[0]
        distinct = np.unique(firsts[places])
        if len(distinct) > 1:
            block = np.searchsorted(distinct, firsts[places])
            fold[places] = block * min(FOLDS, len(distinct)) // len(distinct)
    return fold


def _left_out_scores(units: Floats, labels: Ints, fold: Ints) -> Scores:
    scores = np.full(len(labels), np.nan)
    for number in range(FOLDS):
        out = fold == number
        if out.any() and (~out).any():
            scores[out] = familiarity(units[out], prototypes(units[~out], labels[~out]))
    return scores


def _p_value_steps(measured: Scores, count: int) -> tuple[Floats, Floats]:
    """Returns knots and weights: the p-value of a score is the sum of the weights up to it.

    Exact around the threshold; between knots it is too small, by little.
    """
    total = len(measured)
    ranks = np.unique(
        np.concatenate([np.geomspace(1, total, MAX_KNOTS).astype(int), [max(count, 1), count + 1]])
    )
    steps = np.diff(ranks, prepend=0) / (total + 1)
    # A cosine is never below -1: the first knot counts the photo itself.
    knots = np.concatenate([[-2.0], measured[ranks - 1]])
    return knots.astype(np.float32), np.concatenate([[1 / (total + 1)], steps]).astype(np.float32)


def _new_classes_refused(units: Floats, labels: Ints, fold: Ints) -> float | None:
    every = np.unique(labels)
    if len(every) < 3:
        return None
    refused = 0
    for third in range(3):
        new = np.isin(labels, every[third::3])
        scores = _left_out_scores(units[~new], labels[~new], fold[~new])
        measured = np.sort(scores[np.isfinite(scores)])
        if len(measured) < MIN_PHOTOS:
            return None
        found = familiarity(units[new], prototypes(units[~new], labels[~new]))
        below = np.searchsorted(measured, found, side="right")
        refused += int(((1 + below) / (len(measured) + 1) <= REFUSED).sum())
    return round(refused / len(labels), 4)


def _quantised(units: Floats) -> npt.NDArray[np.int8]:
    largest = np.abs(units).max(axis=1, keepdims=True)
    return np.asarray(np.rint(units / np.maximum(largest, 1e-12) * 127), np.int8)
