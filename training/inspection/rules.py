"""All rules over what a training recorded, with SageMaker's default parameters."""

from __future__ import annotations

from collections.abc import Sequence

from training.inspection.class_rules import ClassCounts, ClassImbalance
from training.inspection.findings import Finding
from training.inspection.loss_rules import LossNotDecreasing, Overfit
from training.inspection.profile_rules import (
    BatchSize,
    CPUBottleneck,
    Dataloader,
    IOBottleneck,
    OverallSystemUsage,
    StepOutlier,
)
from training.inspection.tensor_rules import (
    DeadRelu,
    ExplodingTensor,
    PoorWeightInitialization,
    VanishingGradient,
)
from training.watch.observations import Observations
from training.watch.profile import Profile


def judge(seen: Observations, classes: Sequence[ClassCounts], epochs: int) -> tuple[Finding, ...]:
    """Applies every rule about learning to what the monitor recorded.

    Args:
        classes: empty when the labels of the training are not known.
        epochs: how often the training has seen each image.
    """
    rules = (
        VanishingGradient(),
        ExplodingTensor(),
        PoorWeightInitialization(),
        DeadRelu(),
        LossNotDecreasing(),
        Overfit(),
    )
    return (*(rule(seen) for rule in rules), ClassImbalance()(classes, epochs))


def judge_profile(profile: Profile) -> tuple[Finding, ...]:
    """Applies every rule about time to what the profiler recorded."""
    rules = (
        StepOutlier(),
        Dataloader(),
        CPUBottleneck(),
        IOBottleneck(),
        BatchSize(),
        OverallSystemUsage(),
    )
    return tuple(rule(profile) for rule in rules)
