"""Several processes that do each step of a training together, as one process would.

`torchrun` starts them, one a GPU (or several on CPUs), and names them by its variables. Each takes
its part of every batch. What a step computes over the whole batch is summed over all processes: the
gradients, the loss, and the statistics of BatchNorm; dropout is drawn for the whole batch. So the
number of processes changes a training's speed, not its result, but for the order of sums.

The first process alone writes: features, checkpoints, reports and the model. Without torchrun, or
with one process, nothing here does anything.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn import functional as differentiable
from torch.nn import functional
from torchvision.ops import StochasticDepth  # type: ignore[import-untyped]

from training.machine import SeededDropout

log = logging.getLogger(__name__)
Item = TypeVar("Item")
BATCH_DEPENDENT = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, StochasticDepth)
# The others wait for the first one while it prepares photos and computes features.
PATIENCE = timedelta(hours=12)


def is_first_started() -> bool:
    """Whether this process is torchrun's first, connected or not, or alone."""
    return os.environ.get("RANK", "0") == "0"


def started_together() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined() -> Iterator[None]:
    """Connects the processes that torchrun started, by NCCL between GPUs and by gloo else."""
    if not started_together():
        yield
        return
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    yield
    # Not after an error: NCCL would wait here for the others, which wait for this process. It ends
    # with its error instead, and torchrun ends them.
    distributed.destroy_process_group()


def count() -> int:
    """The number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def cores() -> int:
    """This process's share of the machine's cores, at least one."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def is_first() -> bool:
    """Whether this process writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def wait_for_all() -> None:
    """Waits until each process has come to this place."""
    if count() > 1:
        distributed.barrier()


def part_of(batch: list[Item]) -> list[Item]:
    """This process's part of a batch: neighbours, at most one more than any other's; or none."""
    if count() == 1:
        return batch
    rank = distributed.get_rank()
    return batch[len(batch) * rank // count() : len(batch) * (rank + 1) // count()]


def as_the_first(decision: bool) -> bool:
    """Returns the first process's decision, so that all continue or all stop."""
    if count() == 1:
        return decision
    decisions = [decision]
    distributed.broadcast_object_list(decisions, 0)
    return decisions[0]


def share_weights(module: nn.Module) -> None:
    """Gives all processes the first one's parameters and buffers."""
    if count() > 1:
        for tensor in module.state_dict().values():
            distributed.broadcast(tensor, 0)


def batch_loss(loss: nn.CrossEntropyLoss, logits: Tensor, labels: Tensor) -> Tensor:
    """Returns this process's part of the whole batch's loss: the parts add up to it.

    Args:
        loss: reduces by the (weighted) mean.
        logits: float [n, classes] of this process's part; n may be 0.
    """
    if count() == 1:
        result: Tensor = loss(logits, labels)
        return result
    weights = torch.ones_like(labels, dtype=torch.float32)
    if loss.weight is not None:
        weights = loss.weight[labels]
    everywhere = weights.sum()
    distributed.all_reduce(everywhere)
    total = functional.cross_entropy(
        logits, labels, loss.weight, reduction="sum", label_smoothing=loss.label_smoothing
    )
    return total / everywhere


def add_up(loss: Tensor, module: nn.Module) -> Tensor:
    """Sums the gradients over all processes, and returns the whole batch's loss."""
    loss = loss.detach()
    if count() > 1:
        gradients = [each.grad for each in module.parameters() if each.grad is not None]
        together = torch.cat([loss.reshape(1), *(each.reshape(-1) for each in gradients)])
        distributed.all_reduce(together)
        sizes = [1, *(each.numel() for each in gradients)]
        loss, *sums = torch.split(together, sizes)
        for gradient, total in zip(gradients, sums, strict=True):
            gradient.copy_(total.reshape(gradient.shape))
        loss = loss.reshape(())
    return loss


def in_order(parts: list[Tensor]) -> list[Tensor]:
    """Returns whole batches, from each process's parts of all batches of a pass."""
    if count() == 1:
        return parts
    everyone: list[list[Tensor]] = [[] for _ in range(count())]
    distributed.all_gather_object(everyone, parts)
    return [torch.cat(batch) for batch in zip(*everyone, strict=True)]


def _sum(values: Tensor) -> Tensor:
    """Sums over all processes; so does its backward pass."""
    result: Tensor = differentiable.all_reduce(values)  # type: ignore[no-untyped-call]
    return result


class WholeBatchNorm(nn.BatchNorm2d):
    """BatchNorm whose statistics are those of the whole batch: torch's own needs GPUs."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or count() == 1:
            return super().forward(input)
        values = input.float()
        size = values.new_tensor([values.numel() / values.shape[1]])
        sums = _sum(torch.cat([size, values.sum((0, 2, 3))]))
        rows, mean = sums[0].detach(), sums[1:] / sums[0].detach()
        variance = _sum(((values - mean[:, None, None]) ** 2).sum((0, 2, 3))) / rows
        self._remember(mean.detach(), variance.detach() * rows / (rows - 1))
        scale = self.weight / torch.sqrt(variance + self.eps)
        shift = self.bias - mean * scale
        result: Tensor = (values * scale[:, None, None] + shift[:, None, None]).to(input.dtype)
        return result

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Updates the running statistics as torch does, variance without bias."""
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            raise ValueError("only BatchNorm with running averages is used here")
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


class WholeBatchDropout(nn.Dropout):
    """Dropout drawn for the whole batch, of which each process uses its rows."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or count() == 1:
            return super().forward(input)
        rows = torch.zeros(count(), dtype=torch.int64, device=input.device)
        rows[distributed.get_rank()] = len(input)
        distributed.all_reduce(rows)
        first = int(rows[: distributed.get_rank()].sum())
        whole = input.new_ones((int(rows.sum()), *input.shape[1:]))
        kept = functional.dropout(whole, self.p, training=True)
        return input * kept[first : first + len(input)]


def see_whole_batches(module: nn.Module) -> None:
    """Lets the module's BatchNorm and dropout see the whole batch; their weights stay theirs.

    Others, such as timm's BatchNorm with its activation, see their process's part: a warning.
    """
    if count() == 1:
        return
    others = set()
    for each in module.modules():
        if type(each) in (WholeBatchNorm, WholeBatchDropout):
            continue  # of an earlier fold
        if type(each) is nn.BatchNorm2d:
            each.__class__ = WholeBatchNorm
        elif type(each) in (nn.Dropout, SeededDropout):
            each.__class__ = WholeBatchDropout
        elif isinstance(each, BATCH_DEPENDENT):
            others.add(type(each).__name__)
    if others:
        log.warning(
            "%s of this backbone are computed over each process's part of a batch, so that the "
            "result depends on the number of processes",
            ", ".join(sorted(others)),
        )
