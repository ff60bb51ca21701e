"""The stand-in's search stays in its ranges, repeats itself, and looks near what was good."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import pytest

from localcloud.sagemaker.tuning_search import Seen, propose
from training.launch.tuning_job import parameter_ranges
from training.tuning.search import SearchSpace

RANGES: dict[str, Any] = parameter_ranges(SearchSpace())
GOOD = Seen({"lr": "0.01", "epochs": "4", "batch-size": "32"}, 0.9)
BAD = [
    Seen({"lr": str(lr), "epochs": "2", "batch-size": "16"}, 0.1)
    for lr in (0.001, 0.0015, 0.05, 0.1)
]


def test_every_trial_is_in_the_ranges() -> None:
    for number in range(200):
        chosen = propose(RANGES, [GOOD, *BAD], number, seed=1, maximize=True)
        assert 0.001 <= float(chosen["lr"]) <= 0.1
        assert 2 <= int(chosen["epochs"]) <= 6
        assert chosen["batch-size"] in {"16", "32", "64"}


def test_same_seed_and_number_give_the_same_trial() -> None:
    first, again, other = (
        propose(RANGES, [], number, seed=7, maximize=True) for number in (3, 3, 4)
    )
    assert first == again != other


def test_learning_rates_are_spread_by_their_logarithm() -> None:
    chosen = [
        math.log10(float(propose(RANGES, [], number, seed=1, maximize=True)["lr"]))
        for number in range(400)
    ]
    # Uniform over -3..-1 has its mean at -2; spread linearly it would be at -1.4.
    assert fmean(chosen) == pytest.approx(-2, abs=0.1)


@pytest.mark.parametrize(("maximize", "value"), [(True, 0.9), (False, 0.01)])
def test_odd_trials_lie_near_the_best(maximize: bool, value: float) -> None:
    seen = [Seen(GOOD.hyperparameters, value), *BAD]
    distances = [
        abs(math.log10(float(propose(RANGES, seen, number, seed=1, maximize=maximize)["lr"])) + 2)
        for number in range(200)
    ]
    assert fmean(distances[1::2]) < 0.25 < fmean(distances[0::2])
