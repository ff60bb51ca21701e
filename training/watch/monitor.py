"""An observer that records statistics of gradients, weights and activations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.utils.hooks import RemovableHandle

from training.networks.network import TransferNetwork
from training.settings import TrainSettings
from training.watch.observations import (
    UNCHANGED_ATOL,
    UNCHANGED_RTOL,
    Cost,
    Epoch,
    GradientStatistics,
    PhaseBegin,
    Record,
    ReluStatistics,
    Sample,
    WeightStatistics,
    to_line,
)
from training.watch.observer import EpochMetrics, Phase, TrainingObserver
from training.watch.relu_inputs import ReluInputs

# Sorting all values of a gradient takes longer than computing it.
SAMPLED_VALUES = 2048
SAMPLED_IMAGES = 8
# Epochs of a head take milliseconds; writing after each would cost more than the statistics.
WRITE_SECONDS = 5.0


class Monitor(TrainingObserver):
    """Writes a file of JSON lines (`observations.py`), including the time that the monitor took.

    It records the loss of every step, and gradients, weights and inputs of rectifiers of the first
    step of a phase and every `interval`-th step after it.
    """

    def __init__(self, interval: int, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
        self._interval = interval
        self._file = file
        self._network: TransferNetwork | None = None
        self._hooks: list[RemovableHandle] = []
        self._relus: ReluInputs | None = None
        self._losses: list[Tensor] = []
        self._before: dict[str, Tensor] = {}
        self._records: list[Record] = []
        self._phase_steps = 0
        self._steps = self._samples = 0
        self._seconds = 0.0
        self._started: float | None = None
        self._written = perf_counter()

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        """Hooks the network; in the phase `head` only the head runs, and no hook is called."""
        if self._started is None:
            self._started = perf_counter()
        self._unhook()
        self._network = network
        self._phase_steps = 0
        self._hooks = [
            network.register_forward_pre_hook(self._before_forward),
            network.register_forward_hook(self._after_forward, always_call=True),
            optimizer.register_step_pre_hook(self._before_step),
        ]

    def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
        """Records the step's loss and, where due, statistics of its gradients and weights."""
        if self._is_due():
            started = perf_counter()
            self._record_step(phase, step, loss)
            self._seconds += perf_counter() - started
        self._losses.append(loss)
        self._phase_steps += 1
        self._steps += 1

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Records the epoch, and writes the records every WRITE_SECONDS."""
        started = perf_counter()
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._records.append(Epoch(metrics, tuple(losses)))
        self._losses.clear()
        if started - self._written > WRITE_SECONDS:
            self._write()
        self._seconds += perf_counter() - started

    def on_end(self) -> None:
        """Writes the remaining records and the cost."""
        ended = perf_counter()
        self._unhook()
        self._write()
        wall = ended - (self._started or ended)
        own = self._seconds + perf_counter() - ended
        self._records.append(
            Cost(self._interval, self._samples, self._steps, own, wall - self._seconds)
        )
        self._write()

    def _is_due(self) -> bool:
        return self._phase_steps % self._interval == 0

    def _record_step(self, phase: Phase, step: int, loss: Tensor) -> None:
        network = self._network
        if network is None:
            raise RuntimeError("on_step before on_begin")
        if self._phase_steps == 0:
            self._records.append(phase_begin(phase, network))
        gradients, weights = parameter_statistics(network, self._before)
        relus = {} if self._relus is None else _relu_statistics(self._relus.statistics)
        saturated = {} if self._relus is None else _shares(self._relus.saturated)
        self._records.append(Sample(phase, step, loss.item(), gradients, weights, relus, saturated))
        self._relus = None
        self._before = {}
        self._samples += 1

    def _before_forward(self, network: nn.Module, _inputs: tuple[Any, ...]) -> None:
        if network.training and self._is_due():
            self._relus = ReluInputs(network, SAMPLED_IMAGES)
            self._relus.__enter__()

    def _after_forward(self, network: nn.Module, _inputs: tuple[Any, ...], _output: Any) -> None:
        if network.training and self._relus is not None:
            self._relus.__exit__(None, None, None)
            self._seconds += self._relus.seconds

    def _before_step(self, _optimizer: optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        """Keeps the weights, to see what the step changes."""
        if self._network is None or not self._is_due():
            return
        started = perf_counter()
        self._before = {
            name: parameter.detach().clone()
            for name, parameter in self._network.named_parameters()
            if parameter.grad is not None
        }
        self._seconds += perf_counter() - started

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _write(self) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{to_line(record)}\n" for record in self._records)
        self._records.clear()
        self._written = perf_counter()


def phase_begin(phase: Phase, network: nn.Module) -> PhaseBegin:
    """The parameters that have gradients, and the number of values with and without."""
    trained = {name: each for name, each in network.named_parameters() if each.requires_grad}
    total = sum(each.numel() for each in network.parameters())
    values = sum(each.numel() for each in trained.values())
    return PhaseBegin(phase, tuple(trained), values, total - values)


def parameter_statistics(
    network: nn.Module, before: Mapping[str, Tensor]
) -> tuple[dict[str, GradientStatistics], dict[str, WeightStatistics]]:
    """Statistics of every parameter that has a gradient now, by its name.

    Args:
        before: the same parameters before the step; may be empty.
    """
    parameters = {
        name: (parameter.detach(), parameter.grad)
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    if not parameters:
        return {}, {}
    rows = torch.stack(
        [
            _row(weight, gradient, before.get(name, weight))
            for name, (weight, gradient) in parameters.items()
            if gradient is not None
        ]
    )
    # One transfer for all of them: on a GPU each transfer waits for all computations.
    numbers = dict(zip(parameters, rows.tolist(), strict=True))
    gradients = {name: GradientStatistics(*row[:5]) for name, row in numbers.items()}
    weights = {
        name: WeightStatistics(*(row[5:] if name in before else row[5:9]))
        for name, row in numbers.items()
    }
    return gradients, weights


def _row(weight: Tensor, gradient: Tensor, before: Tensor) -> Tensor:
    """The fields of GradientStatistics, then those of WeightStatistics: float32 [12]."""
    variance, mean = torch.var_mean(weight, correction=0)
    update = weight - before
    return torch.stack(
        [
            torch.linalg.vector_norm(gradient),
            torch.linalg.vector_norm(gradient, 1) / gradient.numel(),
            *percentiles(gradient),
            (gradient == 0).float().mean(),
            torch.linalg.vector_norm(weight),
            mean,
            variance,
            (weight == 0).float().mean(),
            torch.linalg.vector_norm(before),
            torch.linalg.vector_norm(update),
            (update.abs() / (UNCHANGED_ATOL + UNCHANGED_RTOL * before.abs())).max(),
        ]
    )


def percentiles(values: Tensor) -> tuple[Tensor, Tensor]:
    """The 5th and the 95th percentile, of SAMPLED_VALUES to twice as many evenly spaced values."""
    stride = max(1, values.numel() // SAMPLED_VALUES)
    ordered = values.flatten()[::stride].sort().values
    last = len(ordered) - 1
    return ordered[round(0.05 * last)], ordered[round(0.95 * last)]


def _shares(shares: Mapping[str, Tensor]) -> dict[str, float]:
    if not shares:
        return {}
    return dict(zip(shares, torch.stack(list(shares.values())).tolist(), strict=True))


def _relu_statistics(statistics: dict[str, Tensor]) -> dict[str, ReluStatistics]:
    if not statistics:
        return {}
    rows = torch.stack(list(statistics.values())).tolist()
    return {name: ReluStatistics(*row) for name, row in zip(statistics, rows, strict=True)}
