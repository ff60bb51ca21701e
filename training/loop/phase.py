"""Runs one phase of a training: epochs with a cosine schedule and early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from training import parallel
from training.machine import seed_epoch
from training.watch.observer import EpochMetrics, Phase, TrainingObserver
from training.watch.step_clock import clock_for

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """Everything that defines a phase."""

    name: Phase
    module: nn.Module
    """The module to train and keep; maps inputs to logits [n, classes]."""
    optimizer: optim.Optimizer
    """The learning rates of its groups are those of the first step."""
    epochs: int
    first_epoch: int
    """The number of the phase's first epoch, from 1."""
    train_batches: Callable[[], Batches]
    """All images once, in an order decided by torch's seed."""
    train_images: int
    valid_batches: Callable[[], Batches] | None
    loss: nn.CrossEntropyLoss
    batch_size: int
    patience: int
    """0: never stops early."""
    seed: int
    precision: Callable[[], AbstractContextManager[Any]]
    """The context of the forward pass: autocast."""
    together: bool = False
    """Whether each process gets its part of a batch; else each gets all, and no other matters."""
    generators: tuple[torch.Generator, ...] = ()
    """The generators of the phase; none: torch's own, which other threads use too."""
    keeps_last: bool = False
    """Whether the last epoch is kept, however good another is: choosing one by the photos that
    measure it would flatter it."""

    @property
    def steps_an_epoch(self) -> int:
        return math.ceil(self.train_images / self.batch_size)


@dataclass(slots=True)
class PhaseState:
    """The progress of a phase, which checkpoints keep along with weights and optimizer."""

    step: int = 0
    """Of the whole training."""
    history: list[EpochMetrics] = field(default_factory=list)
    """Of the whole training."""
    best: EpochMetrics | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """The module's state after its best epoch; empty before there is one."""

    @property
    def kept(self) -> EpochMetrics:
        """The epoch whose weights are kept; raises RuntimeError before there is one."""
        if self.best is None:
            raise RuntimeError("no epoch has ended yet")
        return self.best

    def done(self, phase: Phase) -> int:
        """The number of finished epochs of this phase."""
        return sum(metrics.phase == phase for metrics in self.history)


def run_phase(
    plan: PhasePlan,
    state: PhaseState,
    observers: Sequence[TrainingObserver],
    on_epoch_end: Callable[[PhaseState], None],
) -> None:
    """Runs the remaining epochs; `plan.module` ends with the last epoch's weights.

    Raises:
        StopTraining: an observer stopped the training.
    """
    first_rates = [
        float(group.setdefault("initial_lr", group["lr"])) for group in plan.optimizer.param_groups
    ]
    for index in range(state.done(plan.name), plan.epochs):
        stops = has_lost_patience(plan, state)
        if parallel.as_the_first(stops) if plan.together else stops:
            return
        started = perf_counter()
        epoch = plan.first_epoch + index
        seed_epoch(plan.seed, epoch, plan.generators)
        train_loss = _train_epoch(plan, state, observers, first_rates, index)
        loss, top1, top5 = (
            (None, None, None)
            if plan.valid_batches is None
            else measure(plan, plan.valid_batches())
        )
        seconds = perf_counter() - started
        metrics = EpochMetrics(epoch, plan.name, train_loss, loss, top1, top5, seconds)
        state.history.append(metrics)
        if plan.keeps_last or is_better(metrics, state.best):
            state.best = metrics
            state.best_weights = {
                name: tensor.detach().clone() for name, tensor in plan.module.state_dict().items()
            }
        on_epoch_end(state)
        for observer in observers:
            observer.on_epoch(metrics)


def is_better(metrics: EpochMetrics, best: EpochMetrics | None) -> bool:
    """Whether the validation loss is lower; without validation always.

    The log loss is a proper score (Gneiting and Raftery, "Strictly Proper Scoring Rules", 2007): it
    also pays for honest confidences, and has no ties on few photos, as top-1 has.
    """
    if best is None or metrics.valid_loss is None or best.valid_loss is None:
        return True
    return metrics.valid_loss < best.valid_loss or math.isnan(best.valid_loss)


def has_lost_patience(plan: PhasePlan, state: PhaseState) -> bool:
    """Whether none of the last `patience` epochs of this phase has the lowest validation loss."""
    if plan.patience == 0 or state.best is None or state.done(plan.name) < plan.patience:
        return False
    return state.history[-1].epoch - state.best.epoch >= plan.patience


def _train_epoch(
    plan: PhasePlan,
    state: PhaseState,
    observers: Sequence[TrainingObserver],
    first_rates: Sequence[float],
    index: int,
) -> float:
    """Trains on all images once; returns their mean loss."""
    plan.module.train()
    total = plan.epochs * plan.steps_an_epoch
    clock = clock_for(next(plan.module.parameters()).device)
    losses: list[Tensor] = []
    images: list[int] = []
    clock.mark()
    for number, (inputs, labels) in enumerate(plan.train_batches()):
        decay = cosine(index * plan.steps_an_epoch + number, total)
        for group, rate in zip(plan.optimizer.param_groups, first_rates, strict=True):
            group["lr"] = rate * decay
        plan.optimizer.zero_grad(set_to_none=True)
        clock.mark()
        with plan.precision():
            loss = _loss(plan, plan.module(inputs), labels)
        clock.mark()
        loss.backward()  # type: ignore[no-untyped-call]
        if plan.together:
            loss = parallel.add_up(loss, plan.module)
        clock.mark()
        plan.optimizer.step()
        clock.mark()
        losses.append(loss.detach())
        images.append(min(plan.batch_size, plan.train_images - number * plan.batch_size))
        for observer in observers:
            observer.on_step(plan.name, state.step, losses[-1])
        state.step += 1
        clock.mark()
    seconds = clock.read()
    for observer in observers:
        observer.on_steps_timed(plan.name, state.step - len(losses), seconds)
    # Once an epoch: reading a value waits for a GPU, and then it has nothing to do.
    values = torch.stack(losses).double().cpu()
    return float(values @ torch.tensor(images, dtype=torch.float64)) / plan.train_images


def _loss(plan: PhasePlan, logits: Tensor, labels: Tensor) -> Tensor:
    if plan.together:
        return parallel.batch_loss(plan.loss, logits, labels)
    loss: Tensor = plan.loss(logits, labels)
    return loss


def cosine(step: int, total: int) -> float:
    """Falls from 1 at step 0 to 0 at `total`: Loshchilov and Hutter (arXiv:1608.03983), eq. 5."""
    return 0.5 * (1 + math.cos(math.pi * step / total))


def answers(plan: PhasePlan, batches: Batches) -> tuple[Tensor, Tensor]:
    """Runs the module over the batches: logits, float32 [n, classes], and labels, int64 [n]."""
    plan.module.eval()
    logits: list[Tensor] = []
    truth: list[Tensor] = []
    with torch.inference_mode():
        for inputs, labels in batches:
            with plan.precision():
                logits.append(plan.module(inputs).float().cpu())
            truth.append(labels.cpu())
    if plan.together:
        logits, truth = parallel.in_order(logits), parallel.in_order(truth)
    return torch.cat(logits), torch.cat(truth)


def measure(plan: PhasePlan, batches: Batches) -> tuple[float, float, float]:
    """Measures the mean cross entropy in nats, top-1 and top-5 accuracy (0..1) of the batches."""
    logits, labels = answers(plan, batches)
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    loss = functional.cross_entropy(logits, labels).item()
    return loss, best[:, 0].float().mean().item(), best.any(dim=1).float().mean().item()
