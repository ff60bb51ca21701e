"""Planted wrong labels are shown first, and sound labels are not called errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from training.data import doubtful
from training.data.doubtful import doubtful_labels, out_of_fold_probabilities

CLASSES, A_CLASS, WIDTH, PLANTED, SHOWN = 10, 15, 64, 8, 16


def clouds(seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Photos of ten labels that overlap a little."""
    random = np.random.default_rng(seed)
    truth = np.arange(CLASSES * A_CLASS) % CLASSES
    centres = random.standard_normal((CLASSES, WIDTH))
    noise = 1.2 * random.standard_normal((len(truth), WIDTH))
    return (centres[truth] + noise).astype(np.float32), truth


@pytest.mark.parametrize("seed", range(4))
def test_eight_planted_labels_are_among_the_first_sixteen(seed: int) -> None:
    features, truth = clouds(seed)
    planted = np.random.default_rng(seed).choice(len(truth), PLANTED, replace=False)
    labels = truth.copy()
    labels[planted] = (labels[planted] + 1 + np.arange(PLANTED) % (CLASSES - 1)) % CLASSES

    found = doubtful_labels(out_of_fold_probabilities(features, labels, range(len(labels))), labels)

    first = {each.row: each for each in found[:SHOWN]}
    assert set(planted.tolist()) <= set(first)
    assert all(first[row].suggested == truth[row] for row in planted.tolist())
    false = [each.row for each in found if each.is_confident and each.row not in planted]
    assert len(false) <= 2


def test_sound_labels_raise_hardly_an_alarm() -> None:
    features, truth = clouds(9)

    found = doubtful_labels(out_of_fold_probabilities(features, truth, range(len(truth))), truth)

    assert sum(each.is_confident for each in found) <= 2


def test_copies_do_not_vouch_for_each_other() -> None:
    """A wrong label on a photo and on its copy is doubtful on both."""
    features, truth = clouds(3)
    features, labels = np.vstack([features, features[:1]]), np.append(truth, truth[0])
    labels[[0, -1]] = (truth[0] + 3) % CLASSES

    found = doubtful_labels(
        out_of_fold_probabilities(features, labels, [*range(len(truth)), 0]), labels
    )

    assert {0, len(truth)} <= {each.row for each in found[:4]}


def test_photos_fewer_than_features_are_answered_as_by_a_weight_for_each_feature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, truth = clouds(1)
    few, labels = features[: WIDTH // 2], truth[: WIDTH // 2]
    by_photos = out_of_fold_probabilities(few, labels, range(len(labels)))
    monkeypatch.setattr(doubtful, "_by_photos", doubtful._by_features)
    by_features = out_of_fold_probabilities(few, labels, range(len(labels)))
    assert by_photos == pytest.approx(by_features, abs=1e-5)
    assert by_photos.max() > 0.5


def test_order_is_that_of_self_confidence_with_errors_first() -> None:
    usual = [[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 4
    doubtful = [[0.05, 0.95], [0.45, 0.55], [0.1, 0.9]]
    truth = np.array([0] * 4 + [1] * 4 + [0, 0, 0])

    found = doubtful_labels(np.array(usual + doubtful), truth)

    assert [each.row for each in found] == [8, 10, 9]
    assert [each.is_confident for each in found] == [True, True, False]
    assert (found[0].confidence, found[0].suggested, found[0].suggested_confidence) == (
        0.05,
        1,
        0.95,
    )


def test_answers_that_agree_with_all_labels_leave_no_doubt() -> None:
    assert doubtful_labels(np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])) == ()
