"""SageMaker Debugger's rules about gradients, weights and activations.

Names, parameters and defaults are those of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. The docstring of a
rule that decides otherwise says so and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import fmean

from training.inspection.findings import NOTHING_LEFT_LOSS, Finding, Question, by_layer, listed
from training.watch.observations import INACTIVE_SHARE, Observations, Sample
from training.watch.observer import Phase

LEAST_FALL = 0.001
"""The smallest change that counts as a fall of the loss: 0.1 %, as for LossNotDecreasing."""


@dataclass(frozen=True, slots=True)
class VanishingGradient:
    """Whether the mean of a gradient's absolute values falls below `threshold`.

    Judged by layer, weight and bias together, not by tensor: a bias before BatchNorm always has a
    gradient of zero, in healthy networks too.
    """

    threshold: float = 1e-7

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Does the error still reach every trained layer?")
        if not seen.samples:
            return question.open("No step was recorded.")
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
            f"{_looked_at(seen)}. In {listed(names)} the gradients nearly vanished, down to "
            f"{mean_abs:.2g} in {layer} at step {sample.step} (phase {phase})."
        )
        if sample.loss < NOTHING_LEFT_LOSS:
            return question.issue(
                answer + f" The loss was {sample.loss:.2g} then.",
                "The network has memorised its training images: train fewer epochs.",
            )
        return question.issue(
            answer,
            "These layers do not learn. Start from pretrained weights; give them a higher learning "
            "rate or fewer layers between them and the loss; look for dead rectifiers there.",
        )


@dataclass(frozen=True, slots=True)
class ExplodingTensor:
    """Checks whether a loss, gradient, weight or activation is infinite or not a number."""

    only_nan: bool = False

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Are all values finite?")
        if not seen.epochs and not seen.samples:
            return question.open("No step was recorded.")
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
        first_loss = next((number for loss, number in losses if self._has(loss)), None)
        for sample in seen.samples:
            if first_loss is not None and first_loss < sample.step:
                break
            for kind in (sample.relu_inputs, sample.gradients, sample.weights):
                for name, statistics in kind.items():
                    if any(self._has(value) for value in asdict(statistics).values()):
                        yield (
                            f"{type(statistics).__name__.removesuffix('Statistics')} of {name}",
                            sample.step,
                        )
        if first_loss is not None:
            yield "The loss", first_loss

    def _has(self, value: float) -> bool:
        return math.isnan(value) if self.only_nan else not math.isfinite(value)


@dataclass(frozen=True, slots=True)
class PoorWeightInitialization:
    """Checks whether a network starts with weights that it cannot learn from.

    Three checks over a phase's first `steps` steps: the variances of the rectifiers' inputs differ
    by more than a factor of `threshold`; the 5th and 95th percentile of the gradients of a layer
    are within `distribution_range`; the mean loss of the last `patience` steps is not at least
    LEAST_FALL below that of the first ones. SageMaker's text does not say how to combine them. Here
    the loss decides and the other two explain it, because each of the two also holds for
    pretrained networks that learn well.
    """

    threshold: float = 10.0
    distribution_range: float = 0.001
    patience: int = 5
    steps: int = 10

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Did the network begin with weights it can learn from?")
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
                    "Start from pretrained weights (--weights). For your own network: He's "
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
            signs.append(f"90 % of the gradients of {layer} are within {narrowest:.2g}")
        return signs


@dataclass(frozen=True, slots=True)
class DeadRelu:
    """Whether more than `threshold_layer` percent of a layer's rectifiers are dead.

    A rectifier is dead when it is positive in less than `threshold_inactivity` percent of the
    recorded positions.
    """

    threshold_inactivity: float = 100 * INACTIVE_SHARE
    threshold_layer: float = 50.0

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Do the rectifiers (ReLU) still pass values on?")
        dead = [
            (relu.dead, name, sample.step)
            for sample in seen.samples
            for name, relu in sample.relu_inputs.items()
        ]
        if not dead:
            return question.open("Only the head was trained, on cached features: no rectifier ran.")
        share, name, step = max(dead)
        answer = f"At most {100 * share:.0f} % of a layer are dead: {name} at step {step}."
        if 100 * share > self.threshold_layer:
            return question.issue(
                answer,
                "Lower the learning rate; start from pretrained weights; in your own network use "
                "LeakyReLU or BatchNorm.",
            )
        return question.fine(answer)


def layer_gradients(sample: Sample) -> dict[str, float]:
    """The largest mean |gradient| among the parameters of each layer."""
    means = by_layer((name, each.mean_abs) for name, each in sample.gradients.items())
    return {layer: max(values) for layer, values in means.items()}


def variance_ratio(sample: Sample) -> float:
    """The largest variance of a rectifier's input divided by the smallest; 1 without rectifiers."""
    variances = [relu.variance for relu in sample.relu_inputs.values()]
    if not variances:
        return 1.0
    return max(variances) / min(variances) if min(variances) > 0 else math.inf


def _narrowest(sample: Sample) -> tuple[float, str]:
    widths = by_layer((name, each.p95 - each.p5) for name, each in sample.gradients.items())
    return min((max(values), layer) for layer, values in widths.items())


def _looked_at(seen: Observations) -> str:
    layers = {layer for sample in seen.samples for layer in layer_gradients(sample)}
    return f"{len(seen.samples)} steps were recorded, {len(layers)} layers with gradients"


def _steps(seen: Observations) -> str:
    return f"{sum(len(epoch.losses) for epoch in seen.epochs):,} steps"
