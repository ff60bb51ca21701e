"""Each rule on a network built to trigger it, and on a healthy one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from training.inspection.answer_rules import Answers
from training.inspection.class_rules import ClassCounts, ClassImbalance
from training.inspection.findings import Finding, Status
from training.inspection.loss_rules import (
    LossDiverges,
    LossNotDecreasing,
    Overfit,
    Overtraining,
)
from training.inspection.rules import judge
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
from training.watch.observations import Epoch, Observations, PhaseBegin, Sample
from training.watch.observer import EpochMetrics

from .networks import (
    Small,
    dead,
    exploding_variances,
    healthy,
    saturating,
    vanishing,
    watched,
)

Rule = Callable[[Observations], Finding]


@pytest.mark.parametrize(
    ("network", "lr", "rule"),
    [
        (vanishing, 0.05, VanishingGradient()),
        (exploding_variances, 10.0, ExplodingTensor()),
        (vanishing, 0.05, PoorWeightInitialization()),
        (exploding_variances, 1e-15, PoorWeightInitialization()),
        (dead, 0.05, DeadRelu()),
        (healthy, 1e-9, LossNotDecreasing()),
        (healthy, 50.0, LossNotDecreasing()),
        (healthy, 50.0, LossDiverges()),
        (healthy, 1e4, WeightUpdateRatio()),
        (healthy, 1e-12, WeightUpdateRatio()),
        (healthy, 1e-12, UnchangedTensor()),
        (dead, 0.05, AllZero()),
        (saturating, 0.05, SaturatedActivation()),
        (healthy, 1e-9, Overtraining()),
    ],
)
def test_rule_is_triggered_by_a_network_built_for_it(
    network: Callable[[], Small], lr: float, rule: Rule, tmp_path: Path
) -> None:
    finding = rule(watched(network(), tmp_path, lr, steps=60))

    assert finding.status is Status.ISSUES_FOUND, finding.answer
    assert finding.rule == type(rule).__name__
    assert finding.advice


def test_no_rule_is_triggered_by_a_healthy_network(tmp_path: Path) -> None:
    classes = [ClassCounts("beagle", 30, 10, 1), ClassCounts("pug", 20, 10, 0)]

    answers = Answers(("beagle", "pug"), (0, 1) * 20, (0, 1) * 20)
    findings = judge(watched(healthy(), tmp_path, steps=60), classes, 30, answers)

    assert {finding.rule: finding.status for finding in findings} == dict.fromkeys(
        (
            "VanishingGradient",
            "ExplodingTensor",
            "PoorWeightInitialization",
            "DeadRelu",
            "AllZero",
            "UnchangedTensor",
            "WeightUpdateRatio",
            "LossNotDecreasing",
            "LossDiverges",
            "Overfit",
            "ChanceLevel",
            "Confusion",
            "ClassImbalance",
        ),
        Status.NO_ISSUES_FOUND,
    ) | {"SaturatedActivation": Status.NOT_EVALUATED, "Overtraining": Status.ISSUES_FOUND}


def test_parameters_have_sagemakers_names_and_defaults() -> None:
    """From the tables of AWS's "List of Debugger Built-in Rules"."""
    seen = Observations((), (), (), None)
    parameters = {finding.rule: dict(finding.parameters) for finding in judge(seen, (), 0)}

    assert parameters["VanishingGradient"] == {"threshold": 1e-7}
    assert parameters["ExplodingTensor"] == {"only_nan": False}
    assert parameters["PoorWeightInitialization"] == {
        "threshold": 10.0,
        "distribution_range": 0.001,
        "patience": 5,
        "steps": 10,
    }
    assert parameters["DeadRelu"] == {"threshold_inactivity": 1.0, "threshold_layer": 50.0}
    assert parameters["LossNotDecreasing"] == {
        "num_steps": 10,
        "diff_percent": 0.1,
        "increase_threshold_percent": 5.0,
    }
    assert parameters["SaturatedActivation"] == {
        "threshold_tanh_min": -9.4999,
        "threshold_tanh_max": 9.4999,
        "threshold_sigmoid_min": -23.0,
        "threshold_sigmoid_max": 16.99999,
        "threshold_inactivity": 1.0,
        "threshold_layer": 50.0,
    }
    assert parameters["AllZero"] == {"threshold": 100.0}
    assert parameters["UnchangedTensor"] == {"num_steps": 3, "rtol": 1e-5, "atol": 1e-8}
    assert parameters["WeightUpdateRatio"] == {
        "large_threshold": 10.0,
        "small_threshold": 1e-8,
        "epsilon": 1e-9,
    }
    assert parameters["Overtraining"] == {
        "patience_train": 5,
        "patience_validation": 10,
        "delta": 0.1,
    }
    assert parameters["Confusion"] == {
        "min_diag": 0.9,
        "max_off_diag": 0.1,
        "least_measured": 5,
    }
    assert parameters["Overfit"] == {"start_step": 0, "patience": 1, "ratio_threshold": 0.1}
    assert parameters["ClassImbalance"] == {
        "threshold_imbalance": 10.0,
        "threshold_misprediction": 0.7,
        "samples": 500,
        "least_measured": 5,
    }


def test_nothing_seen_is_not_called_fine() -> None:
    findings = judge(Observations((), (), (), None), (), 0)

    assert {finding.status for finding in findings} == {Status.NOT_EVALUATED}


def test_explosion_names_the_first_step_and_the_tensor(tmp_path: Path) -> None:
    seen = watched(exploding_variances(), tmp_path, 10.0, steps=10)
    sound, step_3 = seen.samples[0], seen.samples[3]
    broken = replace(sound.gradients["head.weight"], norm=float("nan"))
    third = replace(sound, step=3, gradients={**sound.gradients, "head.weight": broken})

    finding = ExplodingTensor()(
        Observations(seen.phases, (sound, third, replace(step_3, step=5)), (), None)
    )

    assert finding.answer == "Gradient of head.weight was not finite, first seen at step 3."


def test_loss_that_explodes_between_two_looks_is_seen(tmp_path: Path) -> None:
    seen = watched(exploding_variances(), tmp_path, 10.0, steps=20, interval=1000)

    assert len(seen.samples) == 1
    assert "The loss was not finite" in ExplodingTensor()(seen).answer


def test_infinite_loss_is_let_pass_when_only_nan_is_asked_for() -> None:
    seen = trained([1.0, float("inf")])

    assert ExplodingTensor()(seen).status is Status.ISSUES_FOUND
    assert ExplodingTensor(only_nan=True)(seen).status is Status.NO_ISSUES_FOUND


def test_bias_without_gradient_is_no_vanished_layer(tmp_path: Path) -> None:
    """In front of BatchNorm a bias has none by arithmetic."""
    seen = watched(healthy(), tmp_path)
    zeroed = [_with_bias_gradient_zero(sample) for sample in seen.samples]

    finding = VanishingGradient()(replace(seen, samples=tuple(zeroed)))

    assert finding.status is Status.NO_ISSUES_FOUND


def _with_bias_gradient_zero(sample: Sample) -> Sample:
    gradients = {
        name: replace(gradient, mean_abs=0.0) if name.endswith("bias") else gradient
        for name, gradient in sample.gradients.items()
    }
    return replace(sample, gradients=gradients)


def test_small_gradients_of_a_network_that_knows_it_all_are_explained(tmp_path: Path) -> None:
    seen = watched(vanishing(), tmp_path)
    learnt = tuple(replace(sample, loss=1e-6) for sample in seen.samples)

    assert "memorised" in VanishingGradient()(replace(seen, samples=learnt)).advice
    assert "do not learn" in VanishingGradient()(seen).advice


def test_narrow_gradients_of_a_network_that_learns_are_no_issue(tmp_path: Path) -> None:
    """Gradients of pretrained networks are within 0.001 too."""
    rule = PoorWeightInitialization(distribution_range=1e9)

    finding = rule(watched(healthy(), tmp_path))

    assert finding.status is Status.NO_ISSUES_FOUND
    assert "although 90 % of the gradients" in finding.answer


def trained(
    train_losses: Sequence[float],
    valid_losses: Sequence[float] | None = None,
    steps_an_epoch: int = 10,
) -> Observations:
    """A training by its losses alone."""
    valid: Sequence[float | None] = valid_losses or [None] * len(train_losses)
    epochs = [
        Epoch(
            EpochMetrics(number, "head", train, validation, None, None, 1.0),
            (train,) * steps_an_epoch,
        )
        for number, (train, validation) in enumerate(zip(train_losses, valid, strict=True), 1)
    ]
    return Observations((PhaseBegin("head", ("head.weight",), 10, 0),), (), tuple(epochs), None)


@pytest.mark.parametrize(
    ("losses", "status"),
    [
        ([2.0, 1.0, 0.5, 0.25], Status.NO_ISSUES_FOUND),
        ([2.0, 1.0, 0.5, 0.5], Status.NO_ISSUES_FOUND),  # one of three does not change
        ([2.0, 1.999, 1.998, 1.997], Status.ISSUES_FOUND),  # less than 0.1 % a time
        ([2.0, 1.0, 0.5, 0.6], Status.ISSUES_FOUND),  # 20 % above the lowest at the end
        ([2.0, 1.0, 0.5, float("nan")], Status.ISSUES_FOUND),
        ([2.0, 0.004, 0.003, 0.005], Status.NO_ISSUES_FOUND),  # nothing is left to fall
        ([2.0, 1.0, 0.001, 0.5], Status.ISSUES_FOUND),  # it had learned everything, and lost it
        ([2.0], Status.NOT_EVALUATED),
    ],
)
def test_loss_has_to_fall(losses: list[float], status: Status) -> None:
    assert LossNotDecreasing()(trained(losses)).status is status


def test_epochs_of_few_steps_are_compared_num_steps_apart() -> None:
    """Epoch to epoch the loss rises and falls; over ten steps it falls."""
    losses = [2.0, 2.1, 1.5, 1.6, 1.0, 1.1, 0.5]

    assert LossNotDecreasing()(trained(losses, steps_an_epoch=5)).status is Status.NO_ISSUES_FOUND
    assert "of 3 comparisons" in LossNotDecreasing()(trained(losses, steps_an_epoch=5)).answer


def test_finetuning_on_harder_images_is_not_compared_with_the_head() -> None:
    head, finetune = trained([2.0, 1.0, 0.5]), trained([0.9, 0.8, 0.7])
    epochs = tuple(
        replace(epoch, metrics=replace(epoch.metrics, phase="finetune"))
        for epoch in finetune.epochs
    )
    phases = (*head.phases, replace(head.phases[0], phase="finetune"))

    finding = LossNotDecreasing()(Observations(phases, (), head.epochs + epochs, None))

    assert finding.status is Status.NO_ISSUES_FOUND
    assert "Phase head: from 2 to 0.5" in finding.answer
    assert "Phase finetune: from 0.9 to 0.7" in finding.answer


@pytest.mark.parametrize(
    ("valid_losses", "status"),
    [
        ([2.0, 1.09, 0.54], Status.NO_ISSUES_FOUND),
        ([2.0, 1.2, 0.5], Status.NO_ISSUES_FOUND),  # once is within the patience
        ([2.0, 1.2, 0.6], Status.ISSUES_FOUND),
        (None, Status.NOT_EVALUATED),
    ],
)
def test_validation_loss_may_not_stay_above_the_training_loss(
    valid_losses: list[float] | None, status: Status
) -> None:
    assert Overfit()(trained([2.0, 1.0, 0.5], valid_losses)).status is status


@pytest.mark.parametrize(
    ("classes", "epochs", "status"),
    [
        ([ClassCounts("a", 100), ClassCounts("b", 10)], 5, Status.NO_ISSUES_FOUND),
        ([ClassCounts("a", 101), ClassCounts("b", 10)], 5, Status.ISSUES_FOUND),
        ([ClassCounts("a", 100), ClassCounts("b", 0)], 5, Status.ISSUES_FOUND),
        ([ClassCounts("a", 101), ClassCounts("b", 10)], 4, Status.NOT_EVALUATED),
        ([ClassCounts("a", 50, 10, 7), ClassCounts("b", 50, 10, 0)], 5, Status.NO_ISSUES_FOUND),
        ([ClassCounts("a", 50, 10, 8), ClassCounts("b", 50, 10, 0)], 5, Status.ISSUES_FOUND),
        ([ClassCounts("a", 50, 1, 1), ClassCounts("b", 50, 10, 0)], 5, Status.NO_ISSUES_FOUND),
    ],
)
def test_classes_are_judged_by_size_and_by_what_is_wrong(
    classes: list[ClassCounts], epochs: int, status: Status
) -> None:
    assert ClassImbalance()(classes, epochs).status is status


@pytest.mark.parametrize(
    ("losses", "status"),
    [
        ([2.0, 1.0, 0.5], Status.NO_ISSUES_FOUND),
        ([2.0, 3.9, 0.5], Status.NO_ISSUES_FOUND),
        ([2.0, 4.1, 0.5], Status.ISSUES_FOUND),  # it falls again, with the learning rate
    ],
)
def test_loss_above_that_of_knowing_nothing_diverges(losses: list[float], status: Status) -> None:
    assert LossDiverges()(trained(losses)).status is status


def test_resumed_training_has_no_first_loss() -> None:
    seen = trained([0.01, 0.03])
    later = tuple(replace(epoch, metrics=replace(epoch.metrics, epoch=7)) for epoch in seen.epochs)

    assert LossDiverges()(replace(seen, epochs=later)).status is Status.NOT_EVALUATED


def test_training_that_still_improves_is_not_overtrained() -> None:
    falling = [3.0 - 0.2 * epoch for epoch in range(14)]

    assert Overtraining()(trained(falling, falling)).status is Status.NO_ISSUES_FOUND
    assert Overtraining()(trained(falling, [1.0] * 14)).status is Status.NO_ISSUES_FOUND
    flat = trained([3.0, 1.0] + [0.99] * 11, [1.0] * 13)
    assert Overtraining()(flat).status is Status.ISSUES_FOUND
    assert "--patience" in Overtraining()(flat).advice


def test_layer_that_changes_once_in_a_while_is_not_unchanged(tmp_path: Path) -> None:
    seen = watched(healthy(), tmp_path, steps=6)
    still = [
        replace(
            sample,
            weights={
                name: replace(each, change=0.0 if sample.step % 3 else 2.0)
                for name, each in sample.weights.items()
            },
        )
        for sample in seen.samples
    ]

    assert UnchangedTensor()(replace(seen, samples=tuple(still))).status is Status.NO_ISSUES_FOUND
    assert UnchangedTensor(num_steps=2)(replace(seen, samples=tuple(still))).status is (
        Status.ISSUES_FOUND
    )


def test_records_of_earlier_versions_say_nothing_about_updates(tmp_path: Path) -> None:
    seen = watched(healthy(), tmp_path, steps=6)
    old = [
        replace(
            sample,
            weights={
                name: replace(each, norm_before=None, update_norm=None, change=None)
                for name, each in sample.weights.items()
            },
        )
        for sample in seen.samples
    ]

    assert WeightUpdateRatio()(replace(seen, samples=tuple(old))).status is Status.NOT_EVALUATED
    assert UnchangedTensor()(replace(seen, samples=tuple(old))).status is Status.NOT_EVALUATED
