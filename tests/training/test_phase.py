"""A phase uses all the data at the given learning rate, and stops when an observer says so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn, optim

from training.data.batches import FeatureBatches
from training.loop.phase import (
    Batches,
    PhasePlan,
    PhaseState,
    cosine,
    has_lost_patience,
    is_better,
    run_phase,
)
from training.watch.observer import (
    EpochMetrics,
    Phase,
    StopTraining,
    TrainingObserver,
)

IMAGES, FEATURES, CLASSES, BATCH = 1003, 4, 3, 16


class Seen(nn.Linear):
    """A head that notes which rows it is shown while it trains; a row's first feature names it."""

    def __init__(self) -> None:
        super().__init__(FEATURES, CLASSES)
        self.rows: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.rows += inputs[:, 0].int().tolist()
        return super().forward(inputs)


def features(count: int = IMAGES) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    values = torch.randn(count, FEATURES)
    values[:, 0] = torch.arange(count)
    return values, torch.randint(0, CLASSES, (count,))


def plan(module: nn.Module, *, lr: float = 1e-3, epochs: int = 3, **given: object) -> PhasePlan:
    values, labels = features()
    fields: dict[str, object] = {
        "name": "head",
        "module": module,
        "optimizer": optim.AdamW(module.parameters(), lr=lr, weight_decay=0),
        "epochs": epochs,
        "first_epoch": 1,
        "train_batches": FeatureBatches(values, labels, BATCH, training=True),
        "train_images": IMAGES,
        "valid_batches": FeatureBatches(values[:50], labels[:50], BATCH, training=False),
        "loss": nn.CrossEntropyLoss(),
        "batch_size": BATCH,
        "patience": 0,
        "seed": 1,
        "precision": nullcontext,
    }
    return PhasePlan(**(fields | given))  # type: ignore[arg-type]


def ignore(state: PhaseState) -> None:
    """No checkpoint."""


def test_every_epoch_sees_every_image_once() -> None:
    head = Seen()

    run_phase(plan(head, epochs=3), PhaseState(), (), ignore)

    assert len(head.rows) == 3 * IMAGES
    for epoch in range(3):
        rows = head.rows[epoch * IMAGES : (epoch + 1) * IMAGES]
        assert sorted(rows) == list(range(IMAGES))


def test_every_epoch_has_another_order() -> None:
    head = Seen()

    run_phase(plan(head, epochs=2), PhaseState(), (), ignore)

    assert head.rows[:IMAGES] != head.rows[IMAGES:]


@pytest.mark.parametrize("lr", [0.001, 0.014, 0.1])
def test_first_step_is_as_long_as_the_learning_rate_says(lr: float) -> None:
    head = nn.Linear(FEATURES, CLASSES)
    before = head.weight.detach().clone()
    values, labels = features()

    def one_batch() -> Iterator[tuple[Tensor, Tensor]]:
        yield values, labels

    run_phase(
        plan(head, lr=lr, epochs=1, train_batches=one_batch, batch_size=IMAGES),
        PhaseState(),
        (),
        ignore,
    )

    # Adam's first step moves a weight by the learning rate: Kingma and Ba (arXiv:1412.6980), 2.1.
    moved = (head.weight.detach() - before).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, lr), rtol=1e-3, atol=0)


def test_learning_rate_falls_as_a_cosine_to_nothing() -> None:
    rates = []

    class Rates(TrainingObserver):
        def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
            rates.append(made.optimizer.param_groups[0]["lr"])

    made = plan(nn.Linear(FEATURES, CLASSES), lr=0.1, epochs=2)
    run_phase(made, PhaseState(), [Rates()], ignore)

    steps = 2 * math.ceil(IMAGES / BATCH)
    assert rates == pytest.approx([0.1 * cosine(step, steps) for step in range(steps)])
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.001


def test_loss_of_an_epoch_is_the_mean_over_images_not_over_batches() -> None:
    head = nn.Linear(FEATURES, CLASSES)
    values, labels = features(count=9)

    def uneven() -> Batches:
        return iter([(values[:8], labels[:8]), (values[8:], labels[8:])])

    state = PhaseState()
    made = plan(head, lr=1e-12, epochs=1, train_batches=uneven, train_images=9, batch_size=8)
    with torch.inference_mode():
        expected = nn.functional.cross_entropy(head(values), labels).item()
    run_phase(made, state, (), ignore)

    assert state.history[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_zero_head_begins_at_the_loss_of_knowing_nothing() -> None:
    head = nn.Linear(FEATURES, CLASSES)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    losses = []

    class Losses(TrainingObserver):
        def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
            losses.append(loss.item())

    run_phase(plan(head, epochs=1), PhaseState(), [Losses()], ignore)

    assert losses[0] == pytest.approx(math.log(CLASSES), rel=1e-6)


def test_weights_of_the_best_epoch_are_kept() -> None:
    head = nn.Linear(FEATURES, CLASSES)
    state = PhaseState()
    by_epoch = []

    def keep(_: PhaseState) -> None:
        by_epoch.append(head.weight.detach().clone())

    # Labels that have nothing to do with what it learns: the more it learns, the surer it errs.
    values, labels = features(50)
    others = FeatureBatches(values, (labels + 1) % CLASSES, BATCH, training=False)
    run_phase(plan(head, lr=0.1, epochs=6, valid_batches=others), state, (), keep)

    losses = [metrics.valid_loss for metrics in state.history]
    best = losses.index(min(losses))
    assert best < 5, "the last epoch was the best one: this test shows nothing"
    assert torch.equal(state.best_weights["weight"], by_epoch[best])
    assert state.kept == state.history[best]


def test_epoch_with_more_right_and_a_higher_loss_is_not_better() -> None:
    best = metrics(1, loss=0.2, top1=0.90)
    assert not is_better(metrics(2, loss=0.3, top1=0.95), best)
    assert is_better(metrics(2, loss=0.1, top1=0.85), best)
    assert not is_better(metrics(2, loss=math.nan, top1=1.0), best)
    assert is_better(metrics(2, loss=9.0, top1=0.0), metrics(1, loss=math.nan))


def test_fold_is_kept_at_its_last_epoch_however_good_another_was() -> None:
    head = nn.Linear(FEATURES, CLASSES)
    state = PhaseState()

    run_phase(plan(head, lr=3.0, epochs=6, keeps_last=True), state, (), ignore)

    assert state.kept == state.history[-1]
    assert torch.equal(state.best_weights["weight"], head.weight)


def metrics(epoch: int, loss: float | None, top1: float = 0.5) -> EpochMetrics:
    return EpochMetrics(epoch, "head", 1.0, loss, top1, 1.0, 0.1)


@pytest.mark.parametrize(
    ("losses", "is_over"),
    [((0.5,), False), ((0.5, 0.6), False), ((0.5, 0.6, 0.6), True), ((0.7, 0.6, 0.6), False)],
)
def test_patience_is_counted_from_the_epoch_of_the_lowest_loss(
    losses: tuple[float, ...], is_over: bool
) -> None:
    # Ever more are right: that does not count.
    history = [metrics(epoch, loss, epoch / 9) for epoch, loss in enumerate(losses, 1)]
    best = min(history, key=lambda each: (each.valid_loss, each.epoch))
    state = PhaseState(history=history, best=best)

    assert has_lost_patience(plan(nn.Linear(FEATURES, CLASSES), patience=2), state) == is_over


def test_training_without_progress_ends_early() -> None:
    state = PhaseState()

    run_phase(
        plan(nn.Linear(FEATURES, CLASSES), lr=1e-12, epochs=50, patience=3), state, (), ignore
    )

    assert len(state.history) < 20


def test_observer_can_stop_it() -> None:
    class Stopper(TrainingObserver):
        def on_epoch(self, metrics: EpochMetrics) -> None:
            raise StopTraining

    state = PhaseState()
    with pytest.raises(StopTraining):
        run_phase(plan(nn.Linear(FEATURES, CLASSES)), state, [Stopper()], ignore)

    assert len(state.history) == 1
