"""The network: a pretrained backbone and a head of one's own."""

from __future__ import annotations

from torch import Tensor, nn

from training.settings import Backbone, Unfreeze


class TransferNetwork(nn.Module):
    """Normalised float32 [n, 3, size, size] to logits [n, classes]."""

    backbone: nn.Module
    """To features [n, d]."""
    head: nn.Sequential
    """From features to logits."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits


def build_network(backbone: Backbone, weights: str, classes: int, seed: int = 1) -> TransferNetwork:
    """Backbone with `imagenet`, `package`, `random` weights or those of a file; a new head.

    Raises:
        TrainingError: the weights cannot be had, or do not fit.
    """
    raise NotImplementedError


def freeze(network: TransferNetwork, unfreeze: Unfreeze) -> None:
    """Leaves gradients to the head and to what `unfreeze` says, and to nothing else."""
    raise NotImplementedError
