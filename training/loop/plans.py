"""Plans the two phases of a training: the head on features, then head and backbone on photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn, optim

from training import parallel
from training.data.batches import FeatureBatches, PhotoBatches, Photos, Whole
from training.data.cache import default_cache
from training.data.partition import Partition
from training.data.whole_photos import WholePhotos
from training.loop.phase import Batches, PhasePlan
from training.loop.prepared import Prepared
from training.machine import autocast, draw_from
from training.networks.network import TransferNetwork, freeze, stages
from training.settings import TrainSettings

# Each stage nearer to the image learns slower: Howard and Ruder, "ULMFiT" (arXiv:1801.06146), 3.2.
STAGE_DECAY = 2.6


def head_plan(
    network: TransferNetwork, prepared: Prepared, settings: TrainSettings, parts: Partition
) -> PhasePlan:
    """Plans the training of the head alone on cached features: milliseconds per epoch.

    It draws from its own generators, so that other trainings may run beside it in threads.
    """
    order = torch.Generator()
    on_cpu = prepared.device.type == "cpu"
    kept = order if on_cpu else torch.Generator(prepared.device)
    draw_from(network.head, kept)

    def batches(rows: Sequence[int], training: bool) -> FeatureBatches:
        return FeatureBatches(
            prepared.features.values,
            prepared.labels.to(prepared.device),
            settings.batch_size,
            training=training,
            rows=rows,
            generator=order,
        )

    freeze(network, "none")
    return _plan(
        prepared,
        settings,
        parts,
        batches,
        name="head",
        module=network.head,
        optimizer=optim.AdamW(
            network.head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        ),
        epochs=settings.epochs,
        first_epoch=1,
        precision=nullcontext,
        generators=(order,) if on_cpu else (order, kept),
    )


def finetune_plan(
    network: TransferNetwork, prepared: Prepared, settings: TrainSettings, parts: Partition
) -> PhasePlan:
    """Plans the training of head and unfrozen stages together on augmented photos."""

    def batches(rows: Sequence[int], training: bool) -> PhotoBatches:
        images = [prepared.images[row] for row in rows]
        whole = whole_photos(prepared, settings, rows) if training else None
        photos = Photos(images, prepared.spec, augment=training, whole=whole)
        return PhotoBatches(photos, settings.batch_size, prepared.device, training=training)

    draw_from(network.head, None)
    freeze(network, settings.unfreeze)
    parallel.share_weights(network)
    parallel.see_whole_batches(network)
    return _plan(
        prepared,
        settings,
        parts,
        batches,
        name="finetune",
        module=network,
        optimizer=optim.AdamW(
            discriminative_groups(network, settings.finetune_lr), weight_decay=settings.weight_decay
        ),
        epochs=settings.finetune_epochs,
        first_epoch=settings.epochs + 1,
        precision=partial(autocast, settings.amp, prepared.device),
        together=True,
    )


def _plan(
    prepared: Prepared,
    settings: TrainSettings,
    parts: Partition,
    batches: Callable[[Sequence[int], bool], Callable[[], Batches]],
    **own: Any,
) -> PhasePlan:
    """Adds the fields that both phases have in common."""
    return PhasePlan(
        train_batches=batches(parts.train, True),
        train_images=len(parts.train),
        valid_batches=batches(parts.valid, False) if parts.valid else None,
        loss=loss_function(prepared, settings, parts),
        batch_size=settings.batch_size,
        patience=settings.patience,
        seed=settings.seed,
        keeps_last=settings.folds > 0,
        **own,
    )


def whole_photos(prepared: Prepared, settings: TrainSettings, rows: Sequence[int]) -> Whole | None:
    """Keeps the whole photos of these rows, where augmentation cuts from them.

    Of several processes each keeps a part; photos that another has not kept yet are decoded when
    used. Returns a reader of the photos, by their places in `rows`.
    """
    if settings.augment_from != "photo":
        return None
    photos = WholePhotos(settings.feature_cache or default_cache(), prepared.spec)
    found = [(prepared.images[row], prepared.digests[row]) for row in rows]
    photos.keep(parallel.part_of(found))
    return lambda place: photos.read(*found[place])


def discriminative_groups(network: TransferNetwork, lr: float) -> list[dict[str, object]]:
    """Parameter groups: the head at `lr`, each stage before it slower by STAGE_DECAY."""
    groups: list[dict[str, object]] = [{"params": list(network.head.parameters()), "lr": lr}]
    for depth, stage in enumerate(reversed(stages(network).values()), 1):
        trained = [parameter for parameter in stage.parameters() if parameter.requires_grad]
        if trained:
            groups.append({"params": trained, "lr": lr / STAGE_DECAY**depth})
    return groups


def loss_function(
    prepared: Prepared, settings: TrainSettings, parts: Partition
) -> nn.CrossEntropyLoss:
    """Makes the loss; a class weight is inverse to the class's size, and 1 for the mean size."""
    weight = None
    if settings.class_weights:
        classes = len(prepared.data.classes)
        counts = torch.bincount(prepared.labels[list(parts.train)], minlength=classes)
        # clamp keeps the weight of a class without images finite; no image uses it.
        weight = (len(parts.train) / (classes * counts.clamp(min=1))).to(prepared.device)
    return nn.CrossEntropyLoss(weight, label_smoothing=settings.label_smoothing)
