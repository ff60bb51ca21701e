"""SageMaker Debugger's own library, smdebug 1.0.34, around a network of today.

smdebug is no longer developed. It needs protobuf 3.20, which conflicts with everything else here,
so it has its own virtual environment (`make .tools/smdebug/.installed`), and this module imports
it only inside functions. `install_shims` adds what it misses:

- numpy ≥ 2.3 has no `ndarray.tostring`, which its `make_tensor_proto` calls;
- Python ≥ 3.12 has no `distutils`, of which it imports `strtobool`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.launch.debugger_request import RELU_INPUTS

if TYPE_CHECKING:
    from torch import nn

COLLECTIONS = ("gradients", "losses", "relu_input")


def install_shims() -> None:
    """Has to be called before anything of smdebug is imported; a second call changes nothing."""
    if importlib.util.find_spec("distutils") is None:
        package, module = ModuleType("distutils"), ModuleType("distutils.util")
        module.strtobool = strtobool  # type: ignore[attr-defined]
        package.util = module  # type: ignore[attr-defined]
        sys.modules |= {"distutils": package, "distutils.util": module}
    from smdebug.core import writer  # type: ignore[import-not-found] # noqa: PLC0415
    from smdebug.core.tfevent import util  # type: ignore[import-not-found] # noqa: PLC0415

    original = util.make_tensor_proto
    if getattr(original, "is_shim", False):
        return

    def make_tensor_proto(nparray_data: npt.NDArray[Any], tag: str) -> Any:
        return original(nparray_data=nparray_data.view(WithToString), tag=tag)

    make_tensor_proto.is_shim = True  # type: ignore[attr-defined]
    util.make_tensor_proto = writer.make_tensor_proto = make_tensor_proto


class WithToString(np.ndarray):
    """An array with the methods that numpy removed in 2.3."""

    def tostring(self) -> bytes:
        """The values in C order, as `tobytes`."""
        return self.tobytes()


def strtobool(value: str) -> int:
    """As `distutils.util.strtobool` was.

    Raises:
        ValueError: neither yes nor no.
    """
    match value.lower():
        case "y" | "yes" | "t" | "true" | "on" | "1":
            return 1
        case "n" | "no" | "f" | "false" | "off" | "0":
            return 0
        case _:
            raise ValueError(f"invalid truth value {value!r}")


def hook_network(network: nn.Module, loss: nn.Module, folder: Path, save_interval: int) -> Any:
    """A hook that saves gradients, losses and the inputs of rectifiers to a new folder.

    smdebug names an input by the attribute that holds its module, so that `relu_input` are those
    of modules called `relu`, as torchvision's ResNet has them; it does not see functions.

    Returns:
        smdebug's `Hook`; `close()` it after the last step.
    """
    install_shims()
    import smdebug.pytorch as smd  # type: ignore[import-not-found] # noqa: PLC0415

    hook = smd.Hook(
        out_dir=str(folder),
        save_config=smd.SaveConfig(save_interval=save_interval),
        include_collections=list(COLLECTIONS),
    )
    hook.get_collection("relu_input").include(RELU_INPUTS)
    hook.register_module(network)
    hook.register_loss(loss)
    return hook


def open_trial(folder: Path) -> Any:
    """Returns a hook's saved tensors, as smdebug's `Trial`."""
    install_shims()
    from smdebug.trials import create_trial  # type: ignore[import-not-found] # noqa: PLC0415

    return create_trial(str(folder))


def vanishing_gradient_step(trial: Any, threshold: float = 1e-7) -> int | None:
    """The first saved step with a tensor of gradients whose mean |value| is below the threshold.

    A custom rule of smdebug's, run by smdebug: AWS's own rules are in AWS's image alone.
    """
    install_shims()
    from smdebug.exceptions import (  # type: ignore[import-not-found] # noqa: PLC0415
        NoMoreData,
        RuleEvaluationConditionMet,
    )
    from smdebug.rules.rule import Rule  # type: ignore[import-not-found] # noqa: PLC0415

    class SmallGradient(Rule):  # type: ignore[misc]
        def invoke_at_step(self, step: int) -> bool:
            return any(
                trial.tensor(name).reduction_value(step, "mean", abs=True) < threshold
                for name in trial.tensor_names(step=step, collection="gradients")
            )

    rule = SmallGradient(trial, action_str="")
    for step in trial.steps():
        try:
            rule.invoke(step)
        except RuleEvaluationConditionMet:
            return int(step)
        except NoMoreData:
            break
    return None
