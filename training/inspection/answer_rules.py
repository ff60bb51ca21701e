"""Rules about the answers of a training to photos that it was not trained on.

`Confusion` has the name, the parameters and the defaults of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. `ChanceLevel` is ours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from training.inspection.findings import Finding, Question, listed
from training.statistics.intervals import wilson_interval
from training.watch.observations import Observations

SIGNIFICANCE = 0.05
NO_ANSWERS = "There are no answers to photos that were not trained on."


@dataclass(frozen=True, slots=True)
class Answers:
    """The labels of n photos that were not trained on, and the labels that they were given."""

    classes: tuple[str, ...]
    truth: tuple[int, ...]
    predicted: tuple[int, ...]

    @property
    def right(self) -> int:
        return sum(each == other for each, other in zip(self.truth, self.predicted, strict=True))


@dataclass(frozen=True, slots=True)
class ChanceLevel:
    """Whether the answers are better than always giving the commonest label.

    One-sided binomial test at `significance`. Labels that are shuffled, or shifted by a row, make a
    training look healthy: it memorises its photos, and knows nothing of others.
    """

    significance: float = SIGNIFICANCE

    def __call__(self, seen: Observations, answers: Answers | None) -> Finding:
        question = Question.of(self, "Does the training work for other photos too?")
        if answers is None or not answers.truth:
            return question.open(NO_ANSWERS)
        count = len(answers.truth)
        chance = max(Counter(answers.truth).values()) / count
        if _at_least(math.floor(0.9 * count), count, chance) > self.significance:
            return question.open(f"{count} photos are too few to tell an answer from a guess.")
        low, high = wilson_interval(answers.right, count)
        answer = (
            f"{answers.right} of {count} photos that were not trained on are right "
            f"({100 * answers.right / count:.1f} %, 95 %: {100 * low:.1f} to {100 * high:.1f}); "
            f"always naming the commonest label would be right for {100 * chance:.1f} %"
        )
        if _at_least(answers.right, count, chance) <= self.significance:
            return question.fine(f"{answer}.")
        if _has_memorised(seen):
            return question.issue(
                f"{answer}. That is chance, although the training photos were memorised.",
                "The labels do not belong to the photos: they look shuffled. Look at a few photos "
                "of each folder; if the labels came from a table, check that its rows were not "
                "sorted or shifted by one.",
            )
        return question.issue(
            f"{answer}. That is chance, and the training photos were not learned either.",
            "Look at a few photos of each folder: labels may be shuffled. If they are right, try "
            "another learning rate (imagedrop tune), more epochs, or --unfreeze layer4.",
        )


@dataclass(frozen=True, slots=True)
class Confusion:
    """Whether a label is named too rarely, or named for too many photos of others.

    SageMaker's text divides by sums over the diagonal; meant are shares of a label: of its photos
    `min_diag` must be right, and of the photos that are given a label at most `max_off_diag` may be
    of another one. With few photos a share says little, so the 95 % interval must be beyond the
    limit, for each label by Wilson's formula. `least_measured`, which is ours: fewer photos of a
    label, or with it, are not judged.
    """

    min_diag: float = 0.9
    max_off_diag: float = 0.1
    least_measured: int = 5

    def __call__(self, answers: Answers | None) -> Finding:
        question = Question.of(self, "Which labels are confused?")
        if answers is None or not answers.truth:
            return question.open(NO_ANSWERS)
        pairs = Counter(zip(answers.truth, answers.predicted, strict=True))
        photos, named = Counter(answers.truth), Counter(answers.predicted)
        missed = [
            f"{answers.classes[label]} ({pairs[label, label]} of {count} right)"
            for label, count in photos.most_common()
            if count >= self.least_measured
            and wilson_interval(pairs[label, label], count)[1] < self.min_diag
        ]
        taken = [
            f"{answers.classes[truth]} for {answers.classes[label]} ({count} of {named[label]})"
            for (truth, label), count in pairs.most_common()
            if truth != label
            and named[label] >= self.least_measured
            and wilson_interval(count, named[label])[0] > self.max_off_diag
        ]
        worst = _worst(answers, pairs)
        if missed or taken:
            found = "; ".join(
                f"{title}: {listed(each)}"
                for title, each in (("too often wrong", missed), ("taken", taken))
                if each
            )
            return question.issue(
                f"{found}.",
                "Look at the photos of these labels: some may be in the wrong folder, or two "
                "labels may look alike. More photos of both help, or one label for them.",
            )
        return question.fine(f"{len(answers.truth)} photos show no confusion for certain. {worst}")


def _at_least(right: int, count: int, chance: float) -> float:
    """The probability of at least `right` of `count`, each with the probability `chance`."""
    if chance >= 1:
        return 1.0
    return math.fsum(_binomial(each, count, chance) for each in range(right, count + 1))


def _binomial(right: int, count: int, chance: float) -> float:
    ways = math.lgamma(count + 1) - math.lgamma(right + 1) - math.lgamma(count - right + 1)
    return math.exp(ways + right * math.log(chance) + (count - right) * math.log1p(-chance))


def _has_memorised(seen: Observations) -> bool:
    """Whether the training loss ended below half of where it began."""
    losses: Iterable[float] = (loss for epoch in seen.epochs for loss in epoch.losses)
    first = next(iter(losses), math.inf)
    return bool(seen.epochs) and seen.epochs[-1].metrics.train_loss < first / 2


def _worst(answers: Answers, pairs: Counter[tuple[int, int]]) -> str:
    wrong = [(count, pair) for pair, count in pairs.items() if pair[0] != pair[1]]
    if not wrong:
        return "All are right."
    count, (truth, label) = max(wrong)
    return f"Most often {answers.classes[truth]} was named {answers.classes[label]}, {count} times."
