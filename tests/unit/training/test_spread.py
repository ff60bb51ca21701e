"""A cross-validation reports how far its figures may be from the truth."""

from __future__ import annotations

import numpy as np
import pytest

from training.statistics.intervals import mean_interval, wilson_interval
from training.statistics.out_of_fold import OutOfFold
from training.statistics.spread import spread_of


def answers(right: list[list[bool]], fold: list[list[int]]) -> OutOfFold:
    """Photos of the class 0, by seed and photo: a logit of 2 for it, or against it."""
    own = np.where(right, 2.0, -2.0)
    return OutOfFold(
        kind="folds",
        labels=("cat", "dog"),
        paths=tuple(f"{place}.jpg" for place in range(own.shape[1])),
        digests=("",) * own.shape[1],
        truth=np.zeros(own.shape[1], np.int64),
        seeds=tuple(range(len(right))),
        fold=np.array(fold),
        logits=np.stack([own, np.zeros_like(own)], axis=2).astype(np.float32),
    )


def test_figures_of_photos_folds_and_seeds() -> None:
    found = spread_of(
        answers(
            [[True, True, True, False], [True, True, False, False]], [[0, 0, 1, 1], [0, 1, 0, 1]]
        )
    )
    assert found.top1.mean == 0.625
    assert found.top1.seeds == (0.75, 0.5)
    assert found.top1.folds == (1.0, 0.5, 0.5, 0.5)
    assert found.top1.interval == wilson_interval(2.5, 4)
    loss = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    assert found.log_loss.mean == pytest.approx((5 * loss[0] + 3 * loss[1]) / 8)
    assert "2 seeds 0.5000 to 0.7500" in found.text()
    assert "folds 0.5000 to 1.0000" in found.text()


@pytest.mark.parametrize("count", [4000, 40_000])
def test_interval_of_a_mean_is_that_of_the_normal_distribution_for_many_photos(count: int) -> None:
    values = np.random.default_rng(5).normal(3.0, 2.0, count)
    low, high = mean_interval(values)
    reach = 1.96 * values.std() / np.sqrt(count)
    assert low == pytest.approx(values.mean() - reach, abs=0.01)
    assert high == pytest.approx(values.mean() + reach, abs=0.01)


def test_interval_of_a_mean_is_the_same_each_time() -> None:
    values = np.arange(50.0)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(np.full(9, 2.5)) == (2.5, 2.5)
