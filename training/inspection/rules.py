"""All rules over what a training recorded, with SageMaker's default parameters."""

from __future__ import annotations

from collections.abc import Sequence

from training.inspection.answer_rules import Answers, ChanceLevel, Confusion
from training.inspection.class_rules import ClassCounts, ClassImbalance
from training.inspection.findings import Finding
from training.inspection.loss_rules import LossDiverges, LossNotDecreasing, Overfit, Overtraining
from training.inspection.profile_rules import (
    BatchSize,
    CPUBottleneck,
    Dataloader,
    IOBottleneck,
    OverallSystemUsage,
    StepOutlier,
)
from training.inspection.progress_rules import (
    GPUMemoryIncrease,
    LowGPUUtilization,
    MaxInitializationTime,
    StalledTrainingRule,
)
from training.inspection.tensor_rules import (
    DeadRelu,
    ExplodingTensor,
    PoorWeightInitialization,
    VanishingGradient,
)
from training.inspection.update_rules import (
    AllZero,
    SaturatedActivation,
    UnchangedTensor,
    WeightUpdateRatio,
)
from training.watch.observations import Observations
from training.watch.profile import Profile


def judge(
    seen: Observations,
    classes: Sequence[ClassCounts],
    epochs: int,
    answers: Answers | None = None,
) -> tuple[Finding, ...]:
    """Applies every rule about learning to what the monitor recorded.

    Args:
        classes: empty when the labels of the training are not known.
        epochs: how often the training has seen each image.
        answers: to photos that it did not learn from; None when they are not known.
    """
    rules = (
        VanishingGradient(),
        ExplodingTensor(),
        PoorWeightInitialization(),
        DeadRelu(),
        SaturatedActivation(),
        AllZero(),
        UnchangedTensor(),
        WeightUpdateRatio(),
        LossNotDecreasing(),
        LossDiverges(),
        Overfit(),
        Overtraining(),
    )
    return (
        *(rule(seen) for rule in rules),
        ChanceLevel()(seen, answers),
        Confusion()(answers),
        ClassImbalance()(classes, epochs),
    )


def judge_profile(profile: Profile) -> tuple[Finding, ...]:
    """Applies every rule about time to what the profiler recorded."""
    rules = (
        MaxInitializationTime(),
        StalledTrainingRule(),
        StepOutlier(),
        Dataloader(),
        CPUBottleneck(),
        IOBottleneck(),
        LowGPUUtilization(),
        GPUMemoryIncrease(),
        BatchSize(),
        OverallSystemUsage(),
    )
    return tuple(rule(profile) for rule in rules)
