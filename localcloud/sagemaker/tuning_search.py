"""Chooses the next hyperparameters of a search. A plain search, not SageMaker's algorithm.

The first trials are drawn at random. Afterwards every other trial is near the best one so far: a
normal distribution around it, a tenth of each range wide. `Bayesian` and `Hyperband`
behave the same; `Random` ignores results.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RANDOM_TRIALS = 4
NEIGHBOURHOOD = 0.1  # standard deviation, as a share of the range


@dataclass(frozen=True, slots=True)
class Seen:
    """A finished trial: its hyperparameters as texts, and its objective."""

    hyperparameters: Mapping[str, str]
    value: float


def propose(
    ranges: Mapping[str, Any], seen: Sequence[Seen], number: int, *, seed: int, maximize: bool
) -> dict[str, str]:
    """The hyperparameters of a trial; the same for the same arguments.

    Args:
        ranges: ParameterRanges of the request.
        seen: finished trials; empty for a random search.
        number: of the trial, from 0.
    """
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - a search, nothing secret
    near = None
    if len(seen) >= RANDOM_TRIALS and number % 2:
        near = max(seen, key=lambda each: each.value if maximize else -each.value).hyperparameters
    chosen: dict[str, str] = {}
    for each in ranges.get("ContinuousParameterRanges", []):
        chosen[each["Name"]] = repr(_number(each, chance, near))
    for each in ranges.get("IntegerParameterRanges", []):
        chosen[each["Name"]] = str(round(_number(each, chance, near)))
    for each in ranges.get("CategoricalParameterRanges", []):
        known = near is not None and near.get(each["Name"]) in each["Values"]
        keep = known and chance.random() < 0.5
        chosen[each["Name"]] = (
            near[each["Name"]] if near and keep else chance.choice(each["Values"])
        )
    return chosen


def _number(
    given: Mapping[str, str], chance: random.Random, near: Mapping[str, str] | None
) -> float:
    low, high = float(given["MinValue"]), float(given["MaxValue"])
    by_logarithm = given.get("ScalingType") == "Logarithmic"
    scale, back = (math.log, math.exp) if by_logarithm else (float, float)
    start, end = scale(low), scale(high)
    if near is not None and given["Name"] in near:
        centre = scale(min(max(float(near[given["Name"]]), low), high))
        place = chance.gauss(centre, NEIGHBOURHOOD * (end - start))
    else:
        place = chance.uniform(start, end)
    return min(max(back(min(max(place, start), end)), low), high)
