"""Runs under smdebug's own interpreter: python smdebug_program.py SITE_PACKAGES FOLDER.

Trains two small networks under smdebug's hook, one with and one without gradients that vanish,
reads back what was saved, and prints it as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Behind smdebug's own packages, whose protobuf goes first: torch comes from there.
sys.path.append(sys.argv[1])

import torch
from smdebug_hook import hook_network, open_trial, vanishing_gradient_step
from torch import nn

SAVE_INTERVAL = 2
STEPS = 6


class Network(nn.Module):
    """smdebug names tensors by attributes, so that one called `relu` makes `relu_input`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(self.relu(self.first(inputs)))
        return logits


def train(folder: Path, gradient_scale: float) -> dict[str, object]:
    """Returns smdebug's records of six steps; the loss and its gradients are scaled."""
    torch.manual_seed(1)
    network = Network()
    loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    hook = hook_network(network, loss, folder, SAVE_INTERVAL)
    inputs, labels = torch.randn(12, 4), torch.arange(12) % 3
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(network(inputs), labels)
        (gradient_scale * value).backward()
        optimizer.step()
        losses.append(value.item())
    hook.close()
    trial = open_trial(folder)
    return {
        "steps": [int(step) for step in trial.steps()],
        "gradients": sorted(trial.tensor_names(collection="gradients")),
        "relu_inputs": sorted(trial.tensor_names(collection="relu_input")),
        "loss_as_saved": float(trial.tensor(trial.tensor_names(collection="losses")[0]).value(4)),
        "loss_as_it_was": losses[4],
        "vanishing_at": vanishing_gradient_step(trial),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    healthy = train(folder / "healthy", 1.0)
    vanishing = train(folder / "vanishing", 1e-9)
    print(json.dumps({"healthy": healthy, "vanishing": vanishing}))
