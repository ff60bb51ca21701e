"""Whether a day's images differ from a baseline by more than chance: the index, and its noise.

The population stability index of shares p and q over the same bins is sum((p - q) ln(p / q)). For
two samples of one population of n and m images it is about (1/n + 1/m) times chi-square with
bins - 1 degrees of freedom, so its mean is (bins - 1)(1/n + 1/m) without any drift: Yurdakul and
Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation
14(4), 2020.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import NormalDist

from pipeline.records import Record, Status

# By chance alone one comparison in a thousand is above the threshold; a day has three.
CHANCE = 0.001
# Under a tenth, the usual reading of the index is that nothing has changed. Large days are so
# precise that every little thing is above chance.
SMALLEST = 0.1
FEWEST_IMAGES, FEWEST_IN_BASELINE = 30, 100
MOST_BINS = 10
# Of the day's images, expected in a bin: the usual minimum for a chi-square approximation.
EXPECTED_IN_BIN = 5
OTHERS = "others"


@dataclass(slots=True)
class Sample:
    """The images of a period, as far as they are compared."""

    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    confidences: list[float] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        """Counts an image; deleted ones say nothing about what was dropped."""
        if record.status is Status.DELETED:
            return
        self.statuses[record.status] += 1
        if record.label is not None and record.confidence is not None:
            self.labels[record.label] += 1
            self.confidences.append(record.confidence)
            self.models[record.model or ""] += 1

    @property
    def images(self) -> int:
        return self.statuses.total()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property of a day against the baseline.

    Attributes:
        psi: the index; None where there are too few images for any.
        threshold: above it the difference is neither chance nor too small to matter.
        moved: the bin that contributes most, with its share in the baseline and in the day.
    """

    what: str
    images: int
    psi: float | None = None
    threshold: float | None = None
    moved: tuple[str, float, float] | None = None

    @property
    def drifts(self) -> bool:
        return self.psi is not None and self.threshold is not None and self.psi > self.threshold


def sample_of(records: Iterable[Record]) -> Sample:
    found = Sample()
    for each in records:
        found.add(each)
    return found


def compare(day: Sample, baseline: Sample) -> Iterator[Comparison]:
    """Yields the comparisons of labels, confidences and rejections."""
    yield _compared("labels", *_label_bins(day.labels, baseline.labels))
    yield _compared("confidence", *_confidence_bins(day.confidences, baseline.confidences))
    names = [Status.CLASSIFIED, Status.REJECTED]
    pairs = [[each.statuses[name] for name in names] for each in (day, baseline)]
    yield _compared("rejections", [str(each).lower() for each in names], *pairs)


def psi_parts(day: Sequence[int], baseline: Sequence[int]) -> list[float]:
    """Returns each bin's part of the index, of counts; half an image is added to every bin."""
    bins = len(day)
    n, m = sum(day) + bins / 2, sum(baseline) + bins / 2
    shares = [((a + 0.5) / n, (b + 0.5) / m) for a, b in zip(day, baseline, strict=True)]
    return [(p - q) * math.log(p / q) for p, q in shares]


def threshold(bins: int, n: int, m: int) -> float:
    """Returns what the index exceeds with probability CHANCE without drift, or SMALLEST."""
    noise = (1 / n + 1 / m) * chi_square_quantile(bins - 1, 1 - CHANCE)
    return max(SMALLEST, noise)


def chi_square_quantile(degrees: int, probability: float) -> float:
    """Returns a quantile by Wilson and Hilferty's approximation (PNAS 17, 1931), within 4 %."""
    z = NormalDist().inv_cdf(probability)
    part = 2 / (9 * degrees)
    return degrees * (1 - part + z * math.sqrt(part)) ** 3


def _compared(
    what: str, names: Sequence[str], day: Sequence[int], baseline: Sequence[int]
) -> Comparison:
    n, m = sum(day), sum(baseline)
    if n < FEWEST_IMAGES or m < FEWEST_IN_BASELINE or len(names) < 2:
        return Comparison(what, n)
    parts = psi_parts(day, baseline)
    most = max(range(len(parts)), key=parts.__getitem__)
    moved = (names[most], baseline[most] / m, day[most] / n)
    return Comparison(what, n, sum(parts), threshold(len(names), n, m), moved)


def _label_bins(
    day: Counter[str], baseline: Counter[str]
) -> tuple[list[str], list[int], list[int]]:
    """Returns the labels that the day should have often enough, and the others as one bin."""
    n, m = day.total(), baseline.total()
    often = [label for label, count in baseline.most_common() if count * n >= EXPECTED_IN_BIN * m]
    names = [*often, OTHERS]
    counts = [[each[label] for label in often] for each in (day, baseline)]
    rest = [each.total() - sum(known) for each, known in zip((day, baseline), counts, strict=True)]
    return names, [*counts[0], rest[0]], [*counts[1], rest[1]]


def _confidence_bins(
    day: Sequence[float], baseline: Sequence[float]
) -> tuple[list[str], list[int], list[int]]:
    """Returns the counts between the baseline's deciles; fewer bins for a day of few images."""
    bins = min(MOST_BINS, len(day) // EXPECTED_IN_BIN)
    ordered = sorted(baseline)
    # Equal confidences may fill more than one bin, which then is one.
    edges = sorted(
        {ordered[len(ordered) * place // bins] for place in range(1, bins)} if ordered else ()
    )
    ends = [0.0, *edges, 1.0]
    names = [f"{low:.2f} to {high:.2f}" for low, high in pairwise(ends)]
    return names, _counts(day, edges), _counts(ordered, edges)


def _counts(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * (len(edges) + 1)
    for each in values:
        counts[bisect_right(edges, each)] += 1
    return counts
