"""95 % intervals of figures measured on a number of photos."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Z_95 = 1.959964  # of the normal distribution, two-sided 95 %
RESAMPLES = 2000
# Above this many values the mean is normal enough, and resampling would take seconds.
MAX_RESAMPLED = 10_000


def wilson_interval(right: float, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, `right` of `count`.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    Unlike the normal approximation it holds for few images and for shares near 0 and 1.
    """
    if count == 0:
        return 0.0, 1.0
    share, z2 = right / count, Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def paired_interval(
    only_first: int, only_second: int, count: int
) -> tuple[float, tuple[float, float]]:
    """How much oftener the first is right on the same images, in percentage points; its interval.

    The interval is that of paired proportions with a half added to both kinds of difference
    (A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", 2005): it is not empty when the two do not differ on a few images.
    """
    more_first, more_second, all_of_them = only_first + 0.5, only_second + 0.5, count + 2
    middle = (more_first - more_second) / all_of_them
    variance = (more_first + more_second) / all_of_them - middle**2
    reach = Z_95 * math.sqrt(variance / all_of_them)
    points = 100 * (only_first - only_second) / count
    return points, (100 * (middle - reach), 100 * (middle + reach))


def mean_interval(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """The 95 % interval of a mean: percentiles of the means of RESAMPLES resamples.

    B. Efron, "Bootstrap methods: another look at the jackknife" (1979). Losses have a long tail, so
    the interval need not be symmetric. For differences of two trainings on the same photos it
    is the paired interval.

    Args:
        values: [n], at least one.
    """
    count = len(values)
    if count > MAX_RESAMPLED:
        middle, reach = float(values.mean()), Z_95 * float(values.std()) / math.sqrt(count)
        return middle - reach, middle + reach
    generator = np.random.default_rng(1)
    means = [values[generator.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
