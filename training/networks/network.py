"""The network: a pretrained backbone and a new head."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from copy import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torchvision.models import ResNet  # type: ignore[import-untyped]

from imaging import ImageSpec
from model.lite0 import EfficientNetLite0
from training.machine import SeededDropout
from training.networks.backbones import Backbone, check_size, find_architecture
from training.networks.pretrained import load_pretrained
from training.settings import Unfreeze

HEAD_DROPOUT = 0.2
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
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

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.features = backbone.features
        self.backbone = backbone.module
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


def image_spec(backbone: str, weights: str = "") -> ImageSpec:
    """The preparation that the backbone's pretrained weights expect.

    Raises:
        TrainingError: as `find_architecture`.
    """
    return find_architecture(backbone, weights).spec


def build_network(backbone: str, weights: str, classes: int, seed: int = 1) -> TransferNetwork:
    """Builds a network with a new head.

    Args:
        backbone: its name, as `find_architecture` takes it.
        weights: of the backbone, as `load_pretrained` takes them, or `random`.
        seed: of the head, and of random weights.

    Raises:
        TrainingError: there is no such backbone, or the weights are not available or do not fit.
    """
    architecture = find_architecture(backbone, weights)
    torch.manual_seed(seed)
    built = architecture.build()
    check_size(backbone, built.module)
    if weights != "random":
        load_pretrained(backbone, weights, built, architecture)
    # Again, so that the head does not depend on the random numbers drawn for the backbone.
    torch.manual_seed(seed)
    return TransferNetwork(built, classes)


def new_head(
    network: TransferNetwork, classes: int, seed: int, features: Iterable[Tensor]
) -> nn.Sequential:
    """Makes a head, rescaled for the training images' features, blocks of float32 [n, d]."""
    rescale = Rescale(network.features)
    rescale.fit(features)
    return _head(rescale, network.features, classes, torch.Generator().manual_seed(seed))


def _head(
    rescale: Rescale, features: int, classes: int, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Initialises the linear layer as torch does; without a generator with torch's own."""
    linear: nn.Linear = skip_init(nn.Linear, features, classes)  # type: ignore[no-untyped-call]
    reach = 1 / math.sqrt(features)
    nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=generator)
    nn.init.uniform_(linear.bias, -reach, reach, generator=generator)
    return nn.Sequential(rescale, SeededDropout(HEAD_DROPOUT), linear)


def stages(network: TransferNetwork) -> dict[str, nn.ModuleList]:
    """The backbone's stages from the image to the features: stem, layer1 … layer4.

    ResNets and EfficientNet-Lite0 are divided where the resolution halves, so `layer4` has maps of
    7x7 in both. The blocks of others are divided into five parts of about as many.
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
            **{name: [getattr(backbone, name)] for name in STAGES[1:]},
        }
    else:
        parts = _fifths(backbone)
    return {name: nn.ModuleList(modules) for name, modules in parts.items()}


def _fifths(backbone: nn.Module) -> dict[str, list[nn.Module]]:
    """Divides a backbone's blocks; parameters outside of blocks (positions) go to the stem."""
    blocks = [each for each in _blocks(backbone) if any(True for _ in each.parameters())]
    within = {id(parameter) for block in blocks for parameter in block.parameters()}
    others = [each for each in backbone.parameters() if id(each) not in within]
    bounds = [place * len(blocks) // len(STAGES) for place in range(len(STAGES) + 1)]
    parts = {name: blocks[bounds[place] : bounds[place + 1]] for place, name in enumerate(STAGES)}
    return parts | {"stem": [*parts["stem"], nn.ParameterList(others)]}


def _blocks(part: nn.Module) -> Iterator[nn.Module]:
    """The blocks in the order of their declaration: what lists of blocks hold, and the rest."""
    for child in part.children():
        holds_lists = any(_is_list(each) for each in child.children())
        if _is_list(child) or (holds_lists and not _is_list(part)):
            yield from _blocks(child)
        else:
            yield child


def _is_list(module: nn.Module) -> bool:
    # Subclasses of Sequential are blocks: a convolution with its normalisation, an MLP.
    return type(module) in (nn.Sequential, nn.ModuleList)


def unfrozen(network: TransferNetwork, unfreeze: Unfreeze) -> list[nn.ModuleList]:
    """The backbone's stages that `unfreeze` names."""
    return [stage for name, stage in stages(network).items() if unfreeze in ("all", name)]


def freeze(network: TransferNetwork, unfreeze: Unfreeze) -> None:
    """Freezes everything but the head and the stages that `unfreeze` names."""
    network.requires_grad_(False)
    network.head.requires_grad_(True)
    for stage in unfrozen(network, unfreeze):
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
