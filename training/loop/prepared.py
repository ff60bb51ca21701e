"""Prepares the data, the backbone and its features once, for any number of trainings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from imaging import ImageSpec
from training.data.cache import default_cache
from training.data.dataset import DataSet, LabelledImage
from training.data.feature_pass import PassSeconds
from training.data.features import Extractor, Features, stored_features
from training.data.folders import explain
from training.data.looks import edited_pairs, first_alike, looks_of
from training.errors import TrainingError
from training.machine import be_deterministic, device
from training.networks.network import (
    TransferNetwork,
    build_network,
    freeze,
    image_spec,
    weights_sha256,
)
from training.settings import TrainSettings
from training.watch.profile import Preparation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that trainings on the same data, backbone and weights share."""

    data: DataSet
    manifest_sha256: str
    """Of the data."""
    network: TransferNetwork
    """Its head is a placeholder; only its backbone's weights are used."""
    backbone_sha256: str
    spec: ImageSpec
    features: Features
    images: tuple[LabelledImage, ...]
    """The n images that could be prepared, in the order of `features.values`."""
    digests: tuple[str, ...]
    """The sha256 of the bytes of each of the n images, 64 hex digits."""
    looks: tuple[int | None, ...]
    """The perceptual hash of each; None where it could not be had."""
    first_alike: tuple[int, ...]
    """For each the index of the first that looks the same; a split keeps them together."""
    labels: Tensor
    """int64 [n]."""
    device: torch.device
    preparation: Preparation
    """The time by activity."""


def prepare(settings: TrainSettings) -> Prepared:
    """Scans the data, loads the backbone, and gets its features of every image.

    Raises:
        TrainingError: fewer than two classes, a class without a photo to train on, or weights that
            cannot be had.
    """
    if settings.deterministic:
        be_deterministic()
    began = perf_counter()
    data = DataSet.scan(settings.data)
    data, digests = data.read()
    for line in explain(data.left_out):
        log.warning("%s", line)
    manifest_sha256 = data.manifest_of(digests)
    hashed = perf_counter()
    network = build_network(settings.backbone, settings.weights, len(data.classes), settings.seed)
    freeze(network, "none")
    spec, on = image_spec(settings.backbone, settings.weights), device()
    sha256 = weights_sha256(network.backbone)
    network.eval().to(on).to(memory_format=torch.channels_last)
    extractor = Extractor(network.backbone, f"{settings.backbone} {sha256}", spec, settings.amp, on)
    built = perf_counter()
    cache = settings.feature_cache or default_cache()
    features = stored_features(data, digests, extractor, cache)
    images = tuple(data.images[row] for row in features.rows)
    log.info(
        "%d images of %d classes, %d left out",
        len(images),
        len(data.classes),
        len(features.rejected),
    )
    _refuse_untrained_classes(data, images, settings)
    labels = torch.tensor([image.class_index for image in images])
    own_digests = tuple(digests[image.path] for image in images)
    began_looks = perf_counter()
    looks = looks_of(images, own_digests, cache)
    alike = first_alike(
        own_digests, looks, edited_pairs(images, own_digests, features.values.whole, cache)
    )
    ended = perf_counter()
    return Prepared(
        data=data,
        manifest_sha256=manifest_sha256,
        network=network,
        backbone_sha256=sha256,
        spec=spec,
        features=features,
        images=images,
        digests=own_digests,
        looks=looks,
        first_alike=alike,
        labels=labels,
        device=on,
        preparation=_preparation(
            features.seconds,
            total=ended - began,
            hashing=hashed - began,
            network=built - hashed,
            looks=ended - began_looks,
        ),
    )


def _preparation(features: PassSeconds, *, total: float, **others: float) -> Preparation:
    known = features.photos + features.backbone + features.storing + sum(others.values())
    return Preparation(
        photos=features.photos,
        backbone=features.backbone,
        storing=features.storing,
        other=max(0.0, total - known),
        computed=features.computed,
        **others,
    )


def _refuse_untrained_classes(
    data: DataSet, images: Sequence[LabelledImage], settings: TrainSettings
) -> None:
    """Refuses a model with labels that it never saw.

    Raises:
        TrainingError: a class has no image to train on.
    """
    parts = {"train", None, "valid"} if settings.folds else {"train", None}
    seen = {image.class_index for image in images if image.split in parts}
    unseen = [label for place, label in enumerate(data.classes) if place not in seen]
    if seen and unseen:
        raise TrainingError(
            f"{len(unseen)} of {len(data.classes)} classes have no usable photo to train on: "
            f"{', '.join(unseen[:8])}{' …' if len(unseen) > 8 else ''}.",
            "Add photos of them to the part train, or take their folders out of every part.",
        )
