"""Device, precision, determinism and seeds."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

# Multiplications in a forward pass: about a millisecond of one core.
ONE_THREAD_BELOW = 1 << 26


def device() -> torch.device:
    """The first GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_bfloat16(on: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware; emulated it is slower than float32.

    False for a CPU under an older torch, which lacks `torch.cpu.get_capabilities`.
    """
    if on.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def autocast(amp: bool, on: torch.device) -> torch.autocast:
    """Mixed precision, if wanted and computed in hardware; else float32."""
    return torch.autocast(on.type, torch.bfloat16, enabled=amp and computes_bfloat16(on))


@contextmanager
def threads_for(multiplications: int | None) -> Iterator[None]:
    """Computes small steps on one thread; a second one costs more than it computes.

    A step of a head (32 photos, 1,280 features, 21 classes) took 3.3 ms on one thread and 97 ms on
    two, on two cores that other programs used too: the threads wait for each other in every
    operator.

    Args:
        multiplications: of one forward pass; None keeps all threads.
    """
    before = torch.get_num_threads()
    if multiplications is not None and multiplications < ONE_THREAD_BELOW:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def be_deterministic() -> None:
    """Uses only deterministic algorithms; operations without one then raise RuntimeError."""
    # CUDA's matrix products then need a workspace of fixed size; they read this at their first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def seed_epoch(seed: int, epoch: int, generators: Sequence[torch.Generator] = ()) -> None:
    """Seeds everything random of one epoch: order, dropout, augmentation.

    Each epoch has its own seed, so that a resumed training equals one without an interruption.

    Args:
        generators: those of the epoch; none: Python's and torch's own, which all threads of the
        process share.
    """
    mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
    for each in generators:
        each.manual_seed(mixed)
    if not generators:
        random.seed(mixed)
        torch.manual_seed(mixed)


class SeededDropout(nn.Dropout):
    """Dropout with its own generator, if it has one: trials of a search train in threads."""

    generator: torch.Generator | None = None

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.generator is None:
            return super().forward(input)
        kept = torch.empty_like(input).bernoulli_(1 - self.p, generator=self.generator)
        return input * kept.div_(1 - self.p)


def draw_from(module: nn.Module, generator: torch.Generator | None) -> None:
    """Gives the module's dropout a generator; None: torch's own."""
    for each in module.modules():
        if isinstance(each, SeededDropout):
            each.generator = generator
