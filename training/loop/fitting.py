"""Trains one network on one partition of the images: the head, then parts of the backbone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from training.data.partition import Partition
from training.loop.checkpoint import Checkpoint
from training.loop.phase import PhasePlan, PhaseState, answers, run_phase
from training.loop.plans import finetune_plan, head_plan
from training.loop.prepared import Prepared
from training.machine import threads_for
from training.networks.network import TransferNetwork, new_head
from training.settings import TrainSettings
from training.watch.observer import TrainingObserver


@dataclass(frozen=True, slots=True)
class FittedOnce:
    """A network with the weights of the epoch that was kept."""

    network: TransferNetwork
    state: PhaseState
    logits: Tensor | None
    """Its answers to the validation images, in their order, float32 [n, classes]; None without."""


def fit_once(
    prepared: Prepared,
    settings: TrainSettings,
    parts: Partition,
    observers: Sequence[TrainingObserver],
    checkpoint: Checkpoint,
) -> FittedOnce:
    """Trains the head on frozen features; then, where unfrozen, the backbone together with it.

    Raises:
        StopTraining: an observer stopped the training.
    """
    network = _new_network(prepared, settings, parts)
    plans = [head_plan] if settings.unfreeze == "none" else [head_plan, finetune_plan]
    state = checkpoint.state()
    try:
        for make_plan in plans:
            plan = make_plan(network, prepared, settings, parts)
            if plan.name == "head" and checkpoint.phase == "finetune":
                continue
            _run(plan, network, settings, state, observers, checkpoint)
    finally:
        for observer in observers:
            observer.on_end()
    valid = plan.valid_batches
    return FittedOnce(network, state, None if valid is None else answers(plan, valid())[0])


def _new_network(prepared: Prepared, settings: TrainSettings, parts: Partition) -> TransferNetwork:
    classes = len(prepared.data.classes)
    seen = prepared.features.values.blocks(parts.train)
    network = prepared.network.with_head(new_head(prepared.network, classes, settings.seed, seen))
    if settings.unfreeze != "none":
        network = deepcopy(network)
    network.to(prepared.device).to(memory_format=torch.channels_last)
    return network


def _run(  # noqa: PLR0913, PLR0917 - one phase of fit_once
    plan: PhasePlan,
    network: TransferNetwork,
    settings: TrainSettings,
    state: PhaseState,
    observers: Sequence[TrainingObserver],
    checkpoint: Checkpoint,
) -> None:
    if plan.name == checkpoint.phase:
        checkpoint.restore(plan)
    else:
        # If no epoch of this phase is better, the phase changes nothing.
        state.best_weights = deepcopy(plan.module.state_dict())
    for observer in observers:
        observer.on_begin(network, plan.optimizer, settings)
    with threads_for(multiplications(plan)):
        run_phase(plan, state, observers, partial(checkpoint.save, plan))
    plan.module.load_state_dict(state.best_weights)


def multiplications(plan: PhasePlan) -> int | None:
    """How many a step's forward pass takes, where only the head runs; None: the backbone runs."""
    if plan.name != "head":
        return None
    return plan.batch_size * sum(weights.numel() for weights in plan.module.parameters())
