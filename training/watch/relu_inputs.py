"""Statistics of the inputs of a network's activations during one forward pass.

SageMaker Debugger hooks `nn.ReLU` modules and calls their inputs `relu_input`. Networks that call
`functional.relu6` have no such modules; this intercepts the functions, so it sees both kinds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from training.watch.observations import INACTIVE_SHARE, SIGMOID_RANGE, TANH_RANGE

POSITIONS = 8
RECTIFIERS = frozenset(
    {functional.relu, functional.relu_, functional.relu6, torch.relu, torch.relu_, Tensor.relu}
)
TANHS: set[Any] = {functional.tanh, torch.tanh, torch.tanh_, Tensor.tanh_}
SIGMOIDS: set[Any] = {functional.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid_}
# Apart from the others, whose types mypy joins to a narrower one.
TANHS.add(Tensor.tanh)
SIGMOIDS.add(Tensor.sigmoid)


class ReluInputs(TorchFunctionMode):
    """A context that records statistics of every rectifier's input; the results do not change.

    `statistics` maps `MODULE.relu_input_N` to float32 [3]: mean, variance, dead share. MODULE is
    the module that was entered last, N counts its calls.
    """

    def __init__(self, network: nn.Module, images: int) -> None:
        super().__init__()
        self._network = network
        self._images = images
        self._module = ""
        self._calls: Counter[str] = Counter()
        self._hooks: list[RemovableHandle] = []
        self.statistics: dict[str, Tensor] = {}
        self.saturated: dict[str, Tensor] = {}
        """Of each tanh and sigmoid, the share of its channels that are saturated, float32 []."""
        self.seconds = 0.0
        """Wall time of recording."""

    def __enter__(self) -> ReluInputs:
        started = perf_counter()
        for name, module in self._network.named_modules():
            self._hooks.append(module.register_forward_pre_hook(self._entering(name)))
        super().__enter__()  # type: ignore[no-untyped-call]
        self.seconds += perf_counter() - started
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)  # type: ignore[no-untyped-call]
        started = perf_counter()
        for hook in self._hooks:
            hook.remove()
        self.seconds += perf_counter() - started

    def _entering(self, name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(_module: nn.Module, _inputs: tuple[Any, ...]) -> None:
            self._module = name

        return note

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in RECTIFIERS:
            started = perf_counter()
            name = f"{self._module}.relu_input_{self._calls[self._module]}"
            self._calls[self._module] += 1
            # Before the rectifier runs, which may overwrite its input.
            self.statistics[name] = summary(thinned(args[0].detach(), self._images))
            self.seconds += perf_counter() - started
        elif (func in TANHS or func in SIGMOIDS) and args[0].dim() > 1:
            started = perf_counter()
            limits = TANH_RANGE if func in TANHS else SIGMOID_RANGE
            name = f"{self._module}.{func.__name__.strip('_')}_input_{self._calls[self._module]}"
            self._calls[self._module] += 1
            self.saturated[name] = saturated(thinned(args[0].detach(), self._images), limits)
            self.seconds += perf_counter() - started
        return func(*args, **(kwargs or {}))


def thinned(values: Tensor, images: int) -> Tensor:
    """Thins [n, channels, …] to at most `images` images and, of maps, POSITIONS² positions.

    Neighbouring positions of a map are alike, and most activations are in large maps.
    """
    strides = [math.ceil(length / POSITIONS) for length in values.shape[2:]]
    return values[(slice(images), slice(None), *(slice(None, None, each) for each in strides))]


def summary(values: Tensor) -> Tensor:
    """Summarises [n, channels, …] as float32 [3]: mean, variance, share of dead channels."""
    numbers = values.float()
    variance, mean = torch.var_mean(numbers, correction=0)
    all_but_channels = [axis for axis in range(values.dim()) if axis != 1]
    active = (numbers > 0).float().mean(dim=all_but_channels)
    return torch.stack([mean, variance, (active <= INACTIVE_SHARE).float().mean()])


def saturated(values: Tensor, limits: tuple[float, float]) -> Tensor:
    """The share of channels of [n, channels, …] that are hardly ever within the limits."""
    all_but_channels = [axis for axis in range(values.dim()) if axis != 1]
    within = ((values > limits[0]) & (values < limits[1])).float().mean(dim=all_but_channels)
    return (within <= INACTIVE_SHARE).float().mean()
