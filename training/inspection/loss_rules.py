"""SageMaker Debugger's rules about the loss.

Names, parameters and defaults are those of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. The docstring of a
rule that decides otherwise says so and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from training.inspection.findings import NOTHING_LEFT_LOSS, Finding, Question
from training.watch.observations import Observations
from training.watch.observer import EpochMetrics, Phase


@dataclass(frozen=True, slots=True)
class LossNotDecreasing:
    """Whether the training loss falls by `diff_percent` every `num_steps` steps.

    Compared are the mean losses of epochs that are at least `num_steps` steps apart, because single
    batches differ by more than the fall. SageMaker's rule reports the first comparison that fails;
    here half of them must fail, because the loss also stops falling at the end of a good training.
    A loss that ends more than `increase_threshold_percent` above its lowest is an issue too.
    """

    num_steps: int = 10
    diff_percent: float = 0.1
    increase_threshold_percent: float = 5.0

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Does the training loss fall?")
        answers = []
        for begin in seen.phases:
            # Phases are not compared: the second trains on augmented images, which are harder.
            losses = self._losses(seen, begin.phase)
            if len(losses) < 2:
                continue
            falls = [100 * (1 - now / before) for before, now in pairwise(losses) if before > 0]
            stood = sum(not fall >= self.diff_percent for fall in falls)
            lowest = max(min(losses), NOTHING_LEFT_LOSS)
            rise = 100 * (losses[-1] / lowest - 1)
            answers.append(
                f"Phase {begin.phase}: from {losses[0]:.4g} to {losses[-1]:.4g}; {stood} of "
                f"{len(falls)} comparisons without a fall of {self.diff_percent} %"
            )
            if not rise <= self.increase_threshold_percent:
                return question.issue(
                    f"{answers[-1]}; it ended {rise:.3g} % above its lowest.",
                    "Lower the learning rate: the steps overshoot.",
                )
            if 2 * stood >= len(falls) and lowest > NOTHING_LEFT_LOSS:
                return question.issue(
                    f"{answers[-1]}.",
                    "Try another learning rate (imagedrop tune), first a higher one. Check the "
                    "labels: a network cannot learn from photos in the wrong folders.",
                )
        if not answers:
            return question.open(f"There are no two epochs {self.num_steps} steps apart.")
        return question.fine(f"{'. '.join(answers)}.")

    def _losses(self, seen: Observations, phase: Phase) -> list[float]:
        """The losses of a phase's first epoch, and of epochs at least `num_steps` steps apart."""
        losses: list[float] = []
        steps = 0
        for epoch in seen.epochs:
            if epoch.metrics.phase == phase:
                steps += len(epoch.losses)
                if not losses or steps >= self.num_steps:
                    losses.append(epoch.metrics.train_loss)
                    steps = 0
        return losses


@dataclass(frozen=True, slots=True)
class Overfit:
    """Whether the validation loss is above the training loss by more than `ratio_threshold` of it.

    Steps are epochs here, because the validation loss is measured once per epoch. `patience` is how
    many epochs in a row may exceed the ratio.
    """

    start_step: int = 0
    patience: int = 1
    ratio_threshold: float = 0.1

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(
            self, "Does it learn what the classes look like, or does it memorise its images?"
        )
        measured = [
            (epoch.metrics, epoch.metrics.valid_loss)
            for epoch in seen.epochs[self.start_step :]
            if epoch.metrics.valid_loss is not None and epoch.metrics.train_loss > 0
        ]
        if not measured:
            return question.open("There are no validation images.")
        rows: list[list[EpochMetrics]] = [[]]
        for metrics, valid_loss in measured:
            if (valid_loss - metrics.train_loss) / metrics.train_loss > self.ratio_threshold:
                rows[-1].append(metrics)
            elif rows[-1]:
                rows.append([])
        longest = max(rows, key=len)
        if len(longest) > self.patience:
            last = longest[-1]
            return question.issue(
                f"From epoch {longest[0].epoch} to {last.epoch} the validation loss was above the "
                f"training loss, at last {last.valid_loss:.4g} against {last.train_loss:.4g}. "
                f"{_accuracy(last)}",
                "More photos help most; then --label-smoothing 0.1, more --weight-decay, fewer "
                "epochs or --patience. With few photos this is common, and harmless as long as "
                "the validation accuracy does not fall: the best epoch is kept.",
            )
        metrics, valid_loss = measured[-1]
        return question.fine(
            f"Validation loss {valid_loss:.4g}, training loss {metrics.train_loss:.4g} at the end."
        )


@dataclass(frozen=True, slots=True)
class LossDiverges:
    """Whether an epoch's training loss is above `factor` times the loss of the first step.

    The rule is ours. The first step's loss is that of a network that knows nothing yet, about the
    logarithm of the number of classes; a network that learns is soon below it. LossNotDecreasing
    does not see a loss that explodes first and then falls with the learning rate.
    """

    factor: float = 2.0

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Does the loss stay near that of guessing or below?")
        if not seen.epochs or not seen.epochs[0].losses:
            return question.open("No step was recorded.")
        if seen.epochs[0].metrics.epoch != 1:
            return question.open("The training was resumed: its first loss is not known.")
        first = seen.epochs[0].losses[0]
        worst = max(seen.epochs, key=lambda each: each.metrics.train_loss).metrics
        answer = (
            f"The loss of the first step was {first:.4g}; the highest of an epoch "
            f"{worst.train_loss:.4g}, in epoch {worst.epoch}"
        )
        if worst.train_loss > self.factor * first:
            return question.issue(
                f"{answer}: it diverges.",
                "Lower the learning rate, a tenth first: each step overshoots. Later the loss "
                "falls only because the learning rate does.",
            )
        return question.fine(f"{answer}.")


@dataclass(frozen=True, slots=True)
class Overtraining:
    """Whether training continues although neither loss improves by `delta` any more.

    The training loss has not for `patience_train` epochs and the validation loss has not for
    `patience_validation`. SageMaker counts steps; the validation loss is measured once an epoch.
    """

    patience_train: int = 5
    patience_validation: int = 10
    delta: float = 0.1

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Does it end when nothing improves any more?")
        phase = seen.epochs[-1].metrics.phase if seen.epochs else None
        epochs = [epoch.metrics for epoch in seen.epochs if epoch.metrics.phase == phase]
        train = [each.train_loss for each in epochs]
        valid = [each.valid_loss for each in epochs if each.valid_loss is not None]
        if not valid:
            return question.open("There are no validation images.")
        idle = self._idle(train), self._idle(valid)
        answer = (
            f"In the last {idle[0]} epochs the training loss did not fall by {self.delta:g}, in "
            f"the last {idle[1]} the validation loss did not"
        )
        if idle[0] >= self.patience_train and idle[1] >= self.patience_validation:
            enough = len(epochs) - idle[1]
            return question.issue(
                f"{answer}.",
                f"About {enough} epochs would have been enough: --patience "
                f"{self.patience_train} ends such a training. The best epoch is kept either way.",
            )
        return question.fine(f"{answer}.")

    def _idle(self, losses: list[float]) -> int:
        """The epochs since the last one that was `delta` better than the best before it."""
        best, place = losses[0], 0
        for number, loss in enumerate(losses):
            if loss < best - self.delta:
                best, place = loss, number
        return len(losses) - 1 - place


def _accuracy(metrics: EpochMetrics) -> str:
    if metrics.valid_top1 is None:
        return ""
    return f"{100 * metrics.valid_top1:.1f} % of the validation images are right."
