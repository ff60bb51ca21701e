"""Whether a day's images differ from a baseline by more than chance: the index, and its noise.

The population stability index of shares p and q over the same bins is sum((p - q) ln(p / q)). For
two samples of one population of n and m images it is about (1/n + 1/m) times chi-square with
bins - 1 degrees of freedom, so its mean is (bins - 1)(1/n + 1/m) without any drift: Yurdakul and
Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation
14(4), 2020.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any

from archive.card import ModelCard
from archive.crowd import BINS, EDGES, baseline_of

# By chance alone one comparison in a thousand is above the threshold; a day has eight.
CHANCE = 0.001
# Below a tenth the index is usually read as no change. On days with many images even tiny
# differences exceed chance.
SMALLEST = 0.1
FEWEST_IMAGES, FEWEST_IN_BASELINE = 30, 100
# Of the day's images, expected in a bin: the usual minimum for a chi-square approximation.
EXPECTED_IN_BIN = 5
OTHERS = "others"
BASELINE_DAYS = 28
# Properties that differ between models even without any drift of the images.
OF_THE_MODEL = ("labels", "confidence")
BEFORE = "days before"

Counts = Mapping[str, int]
_Kinds = Mapping[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property of some images against a baseline.

    Attributes:
        psi: the index; None where there are too few images for any.
        threshold: above it the difference is neither chance nor too small to matter.
        moved: the bin that contributes most, with its share in the baseline and now.
    """

    what: str
    images: int
    baseline: int
    psi: float | None = None
    threshold: float | None = None
    moved: str | None = None
    was: float | None = None
    now: float | None = None

    @property
    def drifts(self) -> bool | None:
        """None if there are too few images to judge."""
        if self.psi is None or self.threshold is None:
            return None
        return self.psi > self.threshold

    def to_json(self, day: str, against: str) -> dict[str, Any]:
        return {"day": day, "against": against} | asdict(self) | {"drifts": self.drifts}


def days_until(last: datetime, days: int) -> list[str]:
    """Returns so many UTC days, the last one included, the oldest first."""
    return [f"{last - timedelta(days=back):%Y-%m-%d}" for back in reversed(range(days))]


def first_counted(judged: Sequence[str]) -> str:
    """Returns the day with which the usual baseline of these days begins."""
    first = datetime.fromisoformat(judged[0])
    return f"{first - timedelta(days=BASELINE_DAYS):%Y-%m-%d}"


def drift(
    counted: Mapping[str, Counter[str]], judged: Sequence[str], card: ModelCard | None = None
) -> Iterator[dict[str, Any]]:
    """Yields each judged day against the days before the first of them, a property at a time.

    Behind them are all judged days together against the photos of the model's own evaluation, if
    its card has their counts.

    Args:
        counted: the journal's counters of drops by day.
        judged: one or more days, the oldest first.
    """
    before = [counts for day, counts in counted.items() if day < judged[0]]
    by_model = defaultdict(list)
    for counts in before:
        by_model[chief_model(counts)].append(counts)
    # Summed once, however many days are judged.
    baseline = _by_kind(_sum(before))
    of_model = {model: _by_kind(_sum(days)) for model, days in by_model.items()}
    for day in judged:
        counts = counted.get(day, Counter())
        same = of_model.get(chief_model(counts), {})
        for comparison in _compare(_by_kind(counts), baseline, same):
            yield comparison.to_json(day, BEFORE)
    own = None if card is None else baseline_of(card.metrics)
    if card is not None and own is not None:
        now = _sum(counted.get(day, Counter()) for day in judged)
        for comparison in compare(now, own, own):
            if comparison.what != "rejections":  # of its own photos none was rejected
                yield comparison.to_json(f"{judged[0]} to {judged[-1]}", card.identity)


def chief_model(counts: Counts) -> str | None:
    """Returns the model of most answers; None where there are none."""
    models = [name for name in counts if name.startswith("models:")]
    return max(models, key=lambda name: (counts[name], name), default=None)


def compare(day: Counts, baseline: Counts, of_same_model: Counts) -> Iterator[Comparison]:
    """Returns the comparison of every property.

    Args:
        of_same_model: the baseline for what depends on the model.
    """
    return _compare(_by_kind(day), _by_kind(baseline), _by_kind(of_same_model))


def _compare(day: _Kinds, baseline: _Kinds, same: _Kinds) -> Iterator[Comparison]:
    none: Counter[str] = Counter()
    labels = _label_bins(day.get("labels", none), same.get("labels", none))
    yield _compared("labels", *labels)
    for kind in EDGES:
        against = same if kind in OF_THE_MODEL else baseline
        yield _compared(kind, *_tenths(kind, day.get(kind, none), against.get(kind, none)))
    names = ["CLASSIFIED", "REJECTED"]
    pairs = [[each.get("statuses", none)[name] for name in names] for each in (day, baseline)]
    yield _compared("rejections", [name.lower() for name in names], *pairs)


def psi_parts(day: Sequence[int], baseline: Sequence[int]) -> list[float]:
    """Returns each bin's part of the index, of counts; half an image is added to every bin."""
    bins = len(day)
    n, m = sum(day) + bins / 2, sum(baseline) + bins / 2
    shares = [((a + 0.5) / n, (b + 0.5) / m) for a, b in zip(day, baseline, strict=True)]
    return [(p - q) * math.log(p / q) for p, q in shares]


def threshold(bins: int, n: int, m: int) -> float:
    """Returns the value that the index exceeds with probability CHANCE without drift; at least
    SMALLEST."""
    noise = (1 / n + 1 / m) * chi_square_quantile(bins - 1, 1 - CHANCE)
    return max(SMALLEST, noise)


def chi_square_quantile(degrees: int, probability: float) -> float:
    """Returns a quantile by Wilson and Hilferty's approximation (PNAS 17, 1931), within 4 %."""
    z = NormalDist().inv_cdf(probability)
    part = 2 / (9 * degrees)
    return degrees * (1 - part + z * math.sqrt(part)) ** 3


def _sum(counts: Iterable[Counts]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total


def _by_kind(counts: Counts) -> _Kinds:
    """Splits counters named ``kind:name`` by their kinds."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for full_name, number in counts.items():
        kind, _, name = full_name.partition(":")
        found[kind][name] += number
    return found


def _compared(
    what: str, names: Sequence[str], day: Sequence[int], baseline: Sequence[int]
) -> Comparison:
    n, m = sum(day), sum(baseline)
    if n < FEWEST_IMAGES or m < FEWEST_IN_BASELINE or len(names) < 2:
        return Comparison(what, n, m)
    parts = psi_parts(day, baseline)
    most = max(range(len(parts)), key=parts.__getitem__)
    limit = threshold(len(names), n, m)
    return Comparison(what, n, m, sum(parts), limit, names[most], baseline[most] / m, day[most] / n)


def _label_bins(
    day: Counter[str], baseline: Counter[str]
) -> tuple[list[str], list[int], list[int]]:
    """Returns the labels that are expected often enough that day, and the others as one bin."""
    n, m = day.total(), baseline.total()
    often = [label for label, count in baseline.most_common() if count * n >= EXPECTED_IN_BIN * m]
    names = [*often, OTHERS]
    counts = [[each[label] for label in often] for each in (day, baseline)]
    rest = [each.total() - sum(known) for each, known in zip((day, baseline), counts, strict=True)]
    return names, [*counts[0], rest[0]], [*counts[1], rest[1]]


def _tenths(
    kind: str, day: Counter[str], baseline: Counter[str]
) -> tuple[list[str], list[int], list[int]]:
    """Returns the tenths; neighbours that are expected rarely that day are merged into one bin."""
    n, m = day.total(), baseline.total()
    ends: list[int] = []  # the first tenth behind each bin
    expected = 0
    for place in range(BINS):
        expected += baseline[str(place)] * n
        if expected >= EXPECTED_IN_BIN * m and expected:
            ends.append(place + 1)
            expected = 0
    ends = [*ends[:-1], BINS]  # the rest belongs to the last bin
    starts = [0, *ends[:-1]]
    spans = list(zip(starts, ends, strict=True))
    counts = [
        [sum(each[str(at)] for at in range(*span)) for span in spans] for each in (day, baseline)
    ]
    return [_span_name(kind, *span) for span in spans], counts[0], counts[1]


def _span_name(kind: str, start: int, end: int) -> str:
    edges = EDGES[kind]
    if start == 0:
        return "any" if end == BINS else f"below {edges[end - 1]:g}"
    return (
        f"from {edges[start - 1]:g}"
        if end == BINS
        else f"{edges[start - 1]:g} to {edges[end - 1]:g}"
    )
