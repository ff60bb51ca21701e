"""SageMaker Debugger's rules about learning, over what the monitor saw.

Names, parameters and defaults are those of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. Where a rule here
decides otherwise than its text there, its docstring says so and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean

from training.inspection.findings import Finding, Question
from training.watch.observations import Observations, Sample
from training.watch.observer import EpochMetrics, Phase
from training.watch.relu_inputs import INACTIVE_SHARE

NAMES_SHOWN = 3
LEAST_FALL = 0.001
"""What counts as a fall of the loss: 0.1 %, as for LossNotDecreasing."""
NOTHING_LEFT_LOSS = 0.01
"""A training loss below which gradients are small because everything is learnt."""


@dataclass(frozen=True, slots=True)
class VanishingGradient:
    """Whether the mean of a gradient's absolute values falls below `threshold`.

    Here of a layer, weight and bias together, not of each tensor: a bias in front of BatchNorm has
    no gradient by arithmetic, in the healthiest of networks.
    """

    threshold: float = 1e-7

    def __call__(self, seen: Observations) -> Finding:
        question = _question(self, "Does the error still reach every layer that is to learn?")
        if not seen.samples:
            return question.open("No step was looked at.")
        smallest = {
            (sample.phase, layer): (mean_abs, sample)
            for sample in reversed(seen.samples)
            for layer, mean_abs in layer_gradients(sample).items()
            if mean_abs < self.threshold
        }
        if not smallest:
            least, layer = min(
                (mean_abs, layer)
                for sample in seen.samples
                for layer, mean_abs in layer_gradients(sample).items()
            )
            return question.fine(
                f"{_looked_at(seen)}. The smallest mean gradient was {least:.2g}, in {layer}."
            )
        names = [layer for _, layer in smallest]
        (phase, layer), (mean_abs, sample) = min(smallest.items(), key=lambda item: item[1][0])
        answer = (
            f"{_looked_at(seen)}. In {_listed(names)} the gradients all but vanished, down to "
            f"{mean_abs:.2g} in {layer} at step {sample.step} (phase {phase})."
        )
        if sample.loss < NOTHING_LEFT_LOSS:
            return question.issue(
                answer + f" The loss was {sample.loss:.2g} then.",
                "The network knows its training images by heart: train fewer epochs.",
            )
        return question.issue(
            answer,
            "These layers do not learn. Start from pretrained weights; give them a higher learning "
            "rate or fewer layers between them and the loss; look for dead rectifiers there.",
        )


@dataclass(frozen=True, slots=True)
class ExplodingTensor:
    """Whether a loss, gradient, weight or activation is infinite or not a number."""

    only_nan: bool = False

    def __call__(self, seen: Observations) -> Finding:
        question = _question(self, "Are all numbers still numbers?")
        if not seen.epochs and not seen.samples:
            return question.open("No step was looked at.")
        for name, step in self._exploded(seen):
            return question.issue(
                f"{name} was not finite, first seen at step {step}.",
                "Lower the learning rate (a tenth first). If that does not help, train without "
                "--amp, and look at the images of that step.",
            )
        return question.fine(f"{_looked_at(seen)}, and the loss of all {_steps(seen)}: all finite.")

    def _exploded(self, seen: Observations) -> Iterator[tuple[str, int]]:
        step = 0
        losses = []
        for epoch in seen.epochs:
            losses += [(loss, number) for number, loss in enumerate(epoch.losses, step)]
            step += len(epoch.losses)
        first_loss = next(((number) for loss, number in losses if self._has(loss)), None)
        for sample in seen.samples:
            if first_loss is not None and first_loss < sample.step:
                break
            for kind in (sample.relu_inputs, sample.gradients, sample.weights):
                for name, statistics in kind.items():
                    if any(self._has(value) for value in asdict(statistics).values()):
                        yield (
                            f"{type(statistics).__name__.removesuffix('Statistics')} of {name}",
                            (sample.step),
                        )
        if first_loss is not None:
            yield "The loss", first_loss

    def _has(self, value: float) -> bool:
        return math.isnan(value) if self.only_nan else not math.isfinite(value)


@dataclass(frozen=True, slots=True)
class PoorWeightInitialization:
    """Whether a network begins with weights it cannot learn from.

    Three checks over a phase's first `steps` steps: the variances of what goes into the rectifiers
    differ by more than `threshold` times; the gradients of some layer lie, from 5th to 95th
    percentile, within `distribution_range`; the mean loss of the last `patience` of these steps is
    not at least LEAST_FALL below that of the first. SageMaker's text leaves open how the three are
    taken together. Here the loss decides and the other two explain: each alone is also true of
    pretrained networks that learn well.
    """

    threshold: float = 10.0
    distribution_range: float = 0.001
    patience: int = 5
    steps: int = 10

    def __call__(self, seen: Observations) -> Finding:
        question = _question(self, "Did the network begin with weights it can learn from?")
        phases = [
            begin.phase
            for begin in seen.phases
            if len(seen.losses(begin.phase)) >= self.steps
            and any(sample.phase == begin.phase for sample in seen.samples)
        ]
        if not phases:
            return question.open(f"No phase had {self.steps} steps.")
        answers = []
        for phase in phases:
            losses = seen.losses(phase)[: self.steps]
            signs = self._signs(seen, phase)
            before, after = fmean(losses[: self.patience]), fmean(losses[-self.patience :])
            trend = f"Phase {phase}: the loss went from {before:.4g} to {after:.4g} at first"
            if not after < before * (1 - LEAST_FALL) and signs:
                return question.issue(
                    f"{trend}, and {' and '.join(signs)}.",
                    "Start from pretrained weights (--weights). A network of your own: He's "
                    "initialisation before rectifiers (torch.nn.init.kaiming_normal_), or "
                    "BatchNorm between the layers.",
                )
            answers.append(trend + (f", although {' and '.join(signs)}" if signs else ""))
        return question.fine(f"{'. '.join(answers)}.")

    def _signs(self, seen: Observations, phase: Phase) -> list[str]:
        first = next(sample for sample in seen.samples if sample.phase == phase)
        samples = [
            sample
            for sample in seen.samples
            if sample.phase == phase and sample.step < first.step + self.steps
        ]
        signs = []
        ratio = max(map(variance_ratio, samples))
        if ratio > self.threshold:
            signs.append(
                f"the activations' variance differs by a factor of {ratio:.3g} between layers"
            )
        narrowest, layer = min(_narrowest(sample) for sample in samples)
        if narrowest < self.distribution_range:
            signs.append(f"90 % of the gradients of {layer} lie within {narrowest:.2g}")
        return signs


@dataclass(frozen=True, slots=True)
class LossNotDecreasing:
    """Whether the training loss falls by `diff_percent` every `num_steps` steps.

    The loss is the mean of an epoch, compared with that of an epoch at least `num_steps` steps
    before: single batches differ by more than what is looked for. SageMaker's rule stops at the
    first such comparison that fails; here half of them have to, because in the last epochs of a
    good training the loss stands still too. Or the loss has to end more than
    `increase_threshold_percent` above its lowest.
    """

    num_steps: int = 10
    diff_percent: float = 0.1
    increase_threshold_percent: float = 5.0

    def __call__(self, seen: Observations) -> Finding:
        question = _question(self, "Does the training loss fall?")
        answers = []
        for begin in seen.phases:
            # Phases are not compared: the second one sees other images, harder ones.
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
                    "Try another learning rate (imagedrop tune), first a higher one. See whether "
                    "the labels are right: a network cannot learn folders that are mixed up.",
                )
        if not answers:
            return question.open(f"There are no two epochs {self.num_steps} steps apart.")
        return question.fine(f"{'. '.join(answers)}.")

    def _losses(self, seen: Observations, phase: Phase) -> list[float]:
        """Of a phase's first epoch, and of each that ended `num_steps` after the one before."""
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

    Steps are epochs here, because the validation loss is known once an epoch. `patience`: the
    ratio may be exceeded so many epochs in a row.
    """

    start_step: int = 0
    patience: int = 1
    ratio_threshold: float = 0.1

    def __call__(self, seen: Observations) -> Finding:
        question = _question(
            self, "Does it learn what the classes look like, or its training images by heart?"
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
                "epochs or --patience. With few photos this is usual, and harmless as long as "
                "the validation accuracy does not fall: the best epoch is the one kept.",
            )
        metrics, valid_loss = measured[-1]
        return question.fine(
            f"Validation loss {valid_loss:.4g}, training loss {metrics.train_loss:.4g} at the end."
        )


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """How many training images a class has, and how validation went for it."""

    label: str
    train_images: int
    valid_images: int | None = None
    """None when no predictions are known."""
    wrong: int | None = None


@dataclass(frozen=True, slots=True)
class ClassImbalance:
    """Whether classes differ too much in size, or some are mostly wrong.

    `threshold_imbalance`: largest class over smallest. `threshold_misprediction`: share of a class
    that is wrong. `samples`: labels that have to be processed first. Classes with fewer than
    `least_measured` validation images are not judged by theirs (ours: one wrong of one is 100 %).
    """

    threshold_imbalance: float = 10.0
    threshold_misprediction: float = 0.7
    samples: int = 500
    least_measured: int = 5

    def __call__(self, classes: Sequence[ClassCounts], epochs: int) -> Finding:
        question = _question(self, "Does every class have its fair share?")
        if not classes:
            return question.open("The labels of this training are not known here.")
        processed = epochs * sum(each.train_images for each in classes)
        if processed < self.samples:
            return question.open(f"Only {processed} labels were processed.")
        rare = min(classes, key=lambda each: each.train_images)
        common = max(classes, key=lambda each: each.train_images)
        sizes = (
            f"{common.label} has {common.train_images} training images, {rare.label} has "
            f"{rare.train_images}"
        )
        if common.train_images > self.threshold_imbalance * rare.train_images:
            return question.issue(
                f"{sizes}.", "Collect photos of the rare classes, or train with --class-weights."
            )
        measured = [
            each
            for each in classes
            if each.valid_images and each.valid_images >= self.least_measured
        ]
        failing = [
            f"{each.label} ({each.wrong} of {each.valid_images} wrong)"
            for each in measured
            if (each.wrong or 0) > self.threshold_misprediction * (each.valid_images or 0)
        ]
        if failing:
            return question.issue(
                f"{sizes}. Mostly wrong: {_listed(failing)}.",
                "Look at the photos of these classes: wrong folders, or a breed that looks like "
                "another. Then collect more of them, or train with --class-weights.",
            )
        return question.fine(
            f"{sizes}. {len(measured)} of {len(classes)} classes have "
            f"{self.least_measured} validation images to be judged by; none is mostly wrong."
        )


@dataclass(frozen=True, slots=True)
class DeadRelu:
    """Whether more than `threshold_layer` percent of a layer's rectifiers pass nothing on.

    One is dead that is active in less than `threshold_inactivity` percent of the places looked at.
    """

    threshold_inactivity: float = 100 * INACTIVE_SHARE
    threshold_layer: float = 50.0

    def __call__(self, seen: Observations) -> Finding:
        question = _question(self, "Do the rectifiers (ReLU) still pass something on?")
        dead = [
            (relu.dead, name, sample.step)
            for sample in seen.samples
            for name, relu in sample.relu_inputs.items()
        ]
        if not dead:
            return question.open(
                "Only the head was trained, on features computed beforehand: no rectifier ran."
            )
        share, name, step = max(dead)
        answer = f"At most {100 * share:.0f} % of a layer are dead: {name} at step {step}."
        if 100 * share > self.threshold_layer:
            return question.issue(
                answer,
                "Lower the learning rate; start from pretrained weights; in a network of your own "
                "use LeakyReLU or BatchNorm.",
            )
        return question.fine(answer)


def judge(seen: Observations, classes: Sequence[ClassCounts], epochs: int) -> tuple[Finding, ...]:
    """Every rule, with SageMaker's default parameters."""
    rules = (
        VanishingGradient(),
        ExplodingTensor(),
        PoorWeightInitialization(),
        DeadRelu(),
        LossNotDecreasing(),
        Overfit(),
    )
    return (*(rule(seen) for rule in rules), ClassImbalance()(classes, epochs))


def layer_gradients(sample: Sample) -> dict[str, float]:
    """The largest mean |gradient| among the parameters of each layer."""
    layers: dict[str, float] = {}
    for name, gradient in sample.gradients.items():
        layer = name.rpartition(".")[0]
        layers[layer] = max(layers.get(layer, 0.0), gradient.mean_abs)
    return layers


def variance_ratio(sample: Sample) -> float:
    """The largest variance of a rectifier's input over the smallest; 1 without rectifiers."""
    variances = [relu.variance for relu in sample.relu_inputs.values()]
    if not variances:
        return 1.0
    return max(variances) / min(variances) if min(variances) > 0 else math.inf


def _narrowest(sample: Sample) -> tuple[float, str]:
    layers: dict[str, float] = {}
    for name, gradient in sample.gradients.items():
        layer = name.rpartition(".")[0]
        layers[layer] = max(layers.get(layer, 0.0), gradient.p95 - gradient.p5)
    return min((width, layer) for layer, width in layers.items())


def _question(rule: object, text: str) -> Question:
    parameters: Mapping[str, float] = asdict(rule)  # type: ignore[call-overload]
    return Question(type(rule).__name__, text, parameters)


def _looked_at(seen: Observations) -> str:
    layers = {layer for sample in seen.samples for layer in layer_gradients(sample)}
    return f"{len(seen.samples)} steps were looked at, {len(layers)} layers with gradients"


def _steps(seen: Observations) -> str:
    return f"{sum(len(epoch.losses) for epoch in seen.epochs):,} steps"


def _accuracy(metrics: EpochMetrics) -> str:
    if metrics.valid_top1 is None:
        return ""
    return f"{100 * metrics.valid_top1:.1f} % of the validation images are right."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
