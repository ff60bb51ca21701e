"""SageMaker Debugger's rules about the change in a step, and about values without information.

Names, parameters and defaults are those of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. All of them judge a
layer, weight and bias together, where SageMaker judges tensors: in healthy networks a bias may be
zero, and a bias before BatchNorm has no gradient.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from training.inspection.findings import NOTHING_LEFT_LOSS, Finding, Question, by_layer, listed
from training.watch.observations import (
    INACTIVE_SHARE,
    SIGMOID_RANGE,
    TANH_RANGE,
    UNCHANGED_ATOL,
    UNCHANGED_RTOL,
    Observations,
    Sample,
)

UNKNOWN = "What steps change was not recorded."


@dataclass(frozen=True, slots=True)
class WeightUpdateRatio:
    """Whether a step's change divided by the weights' length is too large or too small.

    Both lengths are Euclidean, over a layer. One step above `large_threshold` is an issue; of the
    small ones the median of a layer counts, because the learning rate ends near zero. SageMaker's
    `num_steps` compares saved steps; here the change of one step is recorded.
    """

    large_threshold: float = 10.0
    small_threshold: float = 1e-8
    epsilon: float = 1e-9

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Are the steps of a sensible size?")
        ratios = self._ratios(seen)
        if not ratios:
            return question.open(UNKNOWN)
        largest, layer, step = max((ratio, layer, s) for (layer, s), ratio in ratios.items())
        by_layer: dict[str, list[float]] = defaultdict(list)
        for (name, _), ratio in ratios.items():
            by_layer[name].append(ratio)
        smallest, slowest = min((median(each), name) for name, each in by_layer.items())
        answer = (
            f"The largest change was {largest:.3g} times the weights' length, in {layer} at step "
            f"{step}; the smallest median {smallest:.3g}, in {slowest}"
        )
        if largest > self.large_threshold:
            return question.issue(
                f"{answer}.",
                "Lower the learning rate, a tenth first: one step replaces the former weights.",
            )
        if smallest < self.small_threshold:
            return question.issue(
                f"{answer}.", "Raise the learning rate: the weights of this layer hardly move."
            )
        return question.fine(f"{answer}.")

    def _ratios(self, seen: Observations) -> dict[tuple[str, int], float]:
        ratios = {}
        for sample in seen.samples:
            squares: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
            for name, weights in sample.weights.items():
                if weights.update_norm is not None and weights.norm_before is not None:
                    both = squares[name.rpartition(".")[0]]
                    both[0] += weights.update_norm**2
                    both[1] += weights.norm_before**2
            for layer, (update, before) in squares.items():
                ratio = math.sqrt(update) / (math.sqrt(before) + self.epsilon)
                if math.isfinite(ratio):  # ExplodingTensor names the others
                    ratios[layer, sample.step] = ratio
        return ratios


@dataclass(frozen=True, slots=True)
class UnchangedTensor:
    """Whether a layer stays the same over `num_steps` recorded steps, within the tolerances.

    The recorded steps need not follow each other. The tolerances are those of the record.
    """

    num_steps: int = 3
    rtol: float = UNCHANGED_RTOL
    atol: float = UNCHANGED_ATOL

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Does every trained layer change?")
        changes: dict[str, list[tuple[float, int, float]]] = defaultdict(list)
        for sample in seen.samples:
            for layer, each in by_layer(_changes(sample)).items():
                changes[layer].append((max(each), sample.step, sample.loss))
        judged = {name: each for name, each in changes.items() if len(each) >= self.num_steps}
        if not judged:
            return question.open(f"Fewer than {self.num_steps} steps were recorded.")
        still = {
            name: rows[0]
            for name, each in judged.items()
            for rows in _windows(each, self.num_steps)
            if all(change <= 1 for change, _, _ in rows)
        }
        if not still:
            return question.fine(f"{len(judged)} layers, all of which change.")
        _, step, loss = next(iter(still.values()))
        answer = f"{listed(list(still))} did not change over {self.num_steps} recorded steps, "
        answer += f"first from step {step} on."
        if loss < NOTHING_LEFT_LOSS:
            return question.issue(
                f"{answer} The loss was {loss:.2g} then.", "Nothing is left to learn: fewer epochs."
            )
        return question.issue(
            answer,
            "Look for a learning rate of zero, a vanished gradient, or a layer that is not used.",
        )


@dataclass(frozen=True, slots=True)
class AllZero:
    """Whether at least `threshold` percent of a layer's gradients or weights are zero."""

    threshold: float = 100.0

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Are there layers of zeros?")
        if not seen.samples:
            return question.open("No step was recorded.")
        found: dict[str, int] = {}
        for sample in seen.samples:
            kinds = {
                "gradients": ((name, each.zeros) for name, each in sample.gradients.items()),
                "weights": ((name, each.zeros) for name, each in sample.weights.items()),
            }
            for kind, zeros in kinds.items():
                for layer, shares in by_layer(zeros).items():
                    if 100 * min(shares) >= self.threshold:
                        found.setdefault(f"the {kind} of {layer}", sample.step)
        if found:
            return question.issue(
                f"Zero are {listed(list(found))}, first at step {min(found.values())}.",
                "Such layers pass nothing on: look for dead rectifiers, for weights that were "
                "never initialised, and for photos that are all black.",
            )
        return question.fine(f"None at {len(seen.samples)} recorded steps.")


@dataclass(frozen=True, slots=True)
class SaturatedActivation:
    """Whether more than `threshold_layer` percent of a tanh's or sigmoid's channels are saturated.

    A channel is saturated when less than `threshold_inactivity` percent of its inputs are between
    the thresholds. These are SageMaker's; the monitor applies them while it records.
    """

    threshold_tanh_min: float = TANH_RANGE[0]
    threshold_tanh_max: float = TANH_RANGE[1]
    threshold_sigmoid_min: float = SIGMOID_RANGE[0]
    threshold_sigmoid_max: float = SIGMOID_RANGE[1]
    threshold_inactivity: float = 100 * INACTIVE_SHARE
    threshold_layer: float = 50.0

    def __call__(self, seen: Observations) -> Finding:
        question = Question.of(self, "Do tanh and sigmoid still pass differences on?")
        shares = [
            (share, name, sample.step)
            for sample in seen.samples
            for name, share in sample.saturated.items()
        ]
        if not shares:
            return question.open("No tanh or sigmoid ran: both backbones use rectifiers.")
        share, name, step = max(shares)
        answer = f"At most {100 * share:.0f} % of a layer are saturated: {name} at step {step}."
        if 100 * share > self.threshold_layer:
            return question.issue(
                answer,
                "Lower the learning rate; begin with smaller weights; put BatchNorm before it.",
            )
        return question.fine(answer)


def _changes(sample: Sample) -> Iterator[tuple[str, float]]:
    for name, weights in sample.weights.items():
        if weights.change is not None:
            # NaN counts as a change.
            yield name, math.inf if math.isnan(weights.change) else weights.change


def _windows(
    rows: list[tuple[float, int, float]], length: int
) -> Iterator[list[tuple[float, int, float]]]:
    for start in range(len(rows) - length + 1):
        yield rows[start : start + length]
