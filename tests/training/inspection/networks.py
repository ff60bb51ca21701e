"""Networks built to be healthy or faulty, and a training of a few steps under a monitor."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn, optim

from training.watch.monitor import Monitor
from training.watch.observations import Observations, read_observations
from training.watch.observer import EpochMetrics

CLASSES, FEATURES, IMAGES = 3, 16, 48


class Small(nn.Module):
    """A backbone and a head, as TransferNetwork has them."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(inputs))
        return logits


def healthy() -> Small:
    """Two layers with He's initialisation."""
    return _network([FEATURES, 32, 32], nn.init.kaiming_normal_)


def vanishing() -> Small:
    """Eight layers of tiny weights: the gradient of the loss nearly vanishes."""
    return _network([FEATURES, *[32] * 8], lambda weight: nn.init.normal_(weight, std=1e-3))


def exploding_variances() -> Small:
    """Weights that are too large: activations grow from layer to layer."""
    return _network([FEATURES, *[32] * 4], lambda weight: nn.init.normal_(weight, std=3.0))


def dead() -> Small:
    """Rectifiers whose input is never above zero."""
    network = healthy()
    for layer in network.backbone.modules():
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, -100.0)
    return network


def saturating() -> Small:
    """A tanh whose inputs are far in its saturation."""
    network = healthy()
    nn.init.constant_(network.backbone[0].bias, 100.0)  # type: ignore[index, union-attr]
    network.backbone[1] = nn.Tanh()  # type: ignore[operator]
    return network


def _network(widths: list[int], initialise: Callable[[Tensor], object]) -> Small:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layer = nn.Linear(before, after)
        initialise(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return Small(nn.Sequential(*layers), nn.Linear(widths[-1], CLASSES))


def examples() -> tuple[Tensor, Tensor]:
    """Three linearly separable clouds of points."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(IMAGES) % CLASSES
    centres = 3 * torch.randn(CLASSES, FEATURES, generator=generator)
    return centres[labels] + torch.randn(IMAGES, FEATURES, generator=generator), labels


def watched(
    network: Small, folder: Path, lr: float = 0.05, steps: int = 20, interval: int = 1
) -> Observations:
    """Returns the monitor's records of `steps` steps of plain gradient descent, two an epoch."""
    inputs, labels = examples()
    optimizer = optim.SGD(network.parameters(), lr=lr)
    monitor = Monitor(interval, folder / "monitor.jsonl")
    monitor.on_begin(network, optimizer, None)  # type: ignore[arg-type]
    network.train()
    losses: list[float] = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        monitor.on_step("finetune", step, loss.detach())
        if step % 2 == 1:
            mean = sum(losses[-2:]) / 2
            metrics = EpochMetrics(step // 2 + 1, "finetune", mean, mean, 1.0, 1.0, 0.1)
            monitor.on_epoch(metrics)
    monitor.on_end()
    return read_observations(folder / "monitor.jsonl")
