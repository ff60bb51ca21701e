"""The pretrained weights of a backbone: downloaded, from a package, or from a file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from model.lite0 import EfficientNetLite0
from training.errors import TrainingError
from training.networks.backbones import Architecture, Backbone, is_torchvisions
from training.settings import DOWNLOADED

_TAKES = (
    "--weights takes hub, imagenet, package, random, the name of torchvision's weights such as "
    "IMAGENET1K_V1, or a file with a state dict: .safetensors, or one that "
    "torch.load(weights_only=True) reads."
)


def load_pretrained(
    name: str, weights: str, backbone: Backbone, architecture: Architecture
) -> None:
    """Loads weights into a backbone.

    Args:
        name: of the backbone.
        weights: `hub` or `imagenet`, `package`, the name of torchvision's, or a file: a state dict
            of this backbone with any classifier, or a training's `checkpoint.pt`.

    Raises:
        TrainingError: they are not available, or do not fit.
    """
    if weights in (*DOWNLOADED, "package") or is_torchvisions(name, weights):
        state, source = architecture.download(), f"what was downloaded for {name}"
    else:
        state, source = _read(Path(weights)), weights
    found = _backbone_tensors(state, backbone)
    expected = backbone.module.state_dict()
    differ = sorted(
        tensor
        for tensor in found.keys() | expected.keys()
        if tensor not in found
        or tensor not in expected
        or found[tensor].shape != expected[tensor].shape
    )
    if differ:
        raise TrainingError(
            f"{source} does not hold the weights of {name}: {len(differ)} tensors "
            f"are missing, unknown or of another shape, such as {differ[0]}.",
            _TAKES,
        )
    backbone.module.load_state_dict(found)


def _read(file: Path) -> Mapping[str, Tensor]:
    """Reads a state dict; no pickle is executed."""
    try:
        if file.suffix == ".safetensors":
            return _read_safetensors(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{file} cannot be used as weights: {error!r}.", _TAKES) from error
    return content if isinstance(content, dict) else {}


def _read_safetensors(file: Path) -> Mapping[str, Tensor]:
    try:
        # Comes with timm; no other weights need it.
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.torch import load_file  # noqa: PLC0415
    except ImportError as error:
        raise TrainingError(
            f"{file} needs safetensors, which is not installed here.",
            "Install it: make train-setup, or pip install safetensors",
        ) from error
    try:
        return load_file(file)
    except SafetensorError as error:
        raise TrainingError(f"{file} cannot be used as weights: {error!r}.", _TAKES) from error


def _backbone_tensors(state: Mapping[str, Tensor], backbone: Backbone) -> dict[str, Tensor]:
    """Selects the backbone's tensors and gives them the names that they have in it."""
    if any(name.startswith("backbone.") for name in state):
        state = {
            name.removeprefix("backbone."): tensor
            for name, tensor in state.items()
            if name.startswith("backbone.")
        }
    if isinstance(backbone.module, EfficientNetLite0):
        # The published one names `blocks.0.bn1.weight` `_blocks.0._bn1.weight`.
        state = {name.replace("._", ".").lstrip("_"): each for name, each in state.items()}
    return {
        name: tensor
        for name, tensor in state.items()
        if isinstance(tensor, Tensor) and not name.startswith(backbone.left_out)
    }
