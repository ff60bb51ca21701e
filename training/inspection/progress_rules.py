"""SageMaker Debugger's rules about waiting: for the first step, for the next, for a GPU's memory.

Names, parameters and defaults of `LowGPUUtilization`, `GPUMemoryIncrease` and
`MaxInitializationTime` are those of "List of Debugger Built-in Profiler Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-profiler-rules.html, those of
`StalledTrainingRule` of "List of Debugger Built-in Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html. `patience` differs, as
`profile_rules` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from training.inspection.findings import Finding, Question
from training.inspection.profile_rules import (
    LEAST_SAMPLES,
    NO_GPU,
    NO_LIBRARY,
    PATIENCE,
    percentile,
    too_few,
)
from training.watch.profile import Profile


@dataclass(frozen=True, slots=True)
class LowGPUUtilization:
    """Whether a GPU is rarely busy, or busy in turns.

    Of the last `window` samples: the 95th percentile is below `threshold_p95`; or it is not, and
    the 5th percentile is below `threshold_p5`.
    """

    threshold_p95: float = 70.0
    threshold_p5: float = 10.0
    window: int = 500
    patience: int = PATIENCE

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Is the GPU busy?")
        if profile.machine.gpu is None:
            return question.open(NO_GPU)
        used = [each.gpu for each in profile.samples[self.patience :] if each.gpu is not None]
        if len(used) < LEAST_SAMPLES:
            return question.open(too_few(profile) + NO_LIBRARY)
        high, low = (percentile(used[-self.window :], each) for each in (95, 5))
        answer = f"95 % of the time at most {high:.0f} %, 5 % of the time at most {low:.0f} %."
        if high < self.threshold_p95:
            return question.issue(
                answer, "Take a larger --batch-size, or a smaller machine: much of it is unused."
            )
        if low < self.threshold_p5:
            return question.issue(
                answer,
                "It alternates between work and waiting: see Dataloader and CPUBottleneck.",
            )
        return question.fine(answer)


@dataclass(frozen=True, slots=True)
class GPUMemoryIncrease:
    """Whether the used share of a GPU's memory grows by more than `increase` percent of it.

    Compared are means of `window` samples that follow each other.
    """

    increase: float = 5.0
    window: int = 10
    patience: int = PATIENCE

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Does the GPU's memory fill up?")
        if profile.machine.gpu is None:
            return question.open(NO_GPU)
        used = [each.gpu_memory for each in profile.samples if each.gpu_memory is not None]
        means = _window_means(used[self.patience :], self.window)
        if len(means) < 2:
            return question.open(too_few(profile))
        rises = [after - before for before, after in pairwise(means)]
        answer = f"From {means[0]:.1f} % to {means[-1]:.1f} %; at most {max(rises):.1f} at once."
        if max(rises) > self.increase:
            return question.issue(
                answer,
                "Something is kept from step to step, such as losses with their graphs; or the "
                "second phase, which needs more, has begun.",
            )
        return question.fine(answer)


@dataclass(frozen=True, slots=True)
class MaxInitializationTime:
    """Whether the first step begins later than `threshold` minutes after the start."""

    threshold: float = 20.0

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Does the training begin soon?")
        if profile.stages is None:
            return question.open("The time before the first step was not recorded.")
        minutes = profile.stages.initialization / 60
        answer = f"The first step began after {minutes:.1f} minutes"
        if profile.preparation is not None:
            part, seconds = max(profile.preparation.parts(), key=lambda each: each[1])
            answer += f"; most of it was {part}, {seconds:.0f} s"
        if minutes > self.threshold:
            return question.issue(
                f"{answer}.",
                "Features are kept: the next training on the same photos reads them. A GPU, or "
                "--backbone efficientnet_lite0, computes them faster; smaller photos decode "
                "faster.",
            )
        return question.fine(f"{answer}.")


@dataclass(frozen=True, slots=True)
class StalledTrainingRule:
    """Whether there was no step for `threshold` seconds.

    SageMaker's rule watches a running job and may stop it; this reads the times of the steps.
    """

    threshold: float = 1800.0

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Did it ever stand still?")
        ends = [step.ended for step in profile.steps]
        if len(ends) < 2 or not any(ends):
            return question.open("The times of two steps are needed.")
        gap, step = max(
            (later.ended - earlier.ended, later.step) for earlier, later in pairwise(profile.steps)
        )
        answer = f"The longest pause was {gap:.1f} s, before step {step}."
        if gap > self.threshold:
            return question.issue(
                answer,
                "Look at what ran then: a machine that slept, a disk that did not answer, or a "
                "validation of very many photos.",
            )
        return question.fine(answer)


def _window_means(values: Sequence[float], window: int) -> list[float]:
    return [
        fmean(values[start : start + window])
        for start in range(0, len(values) - window + 1, window)
    ]
