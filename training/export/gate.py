"""The gate of one training: how familiar a new photo must look, by the training's own photos.

Looks are compared in the features of the backbone as it was before any fine-tuning. That backbone
was not trained on the photos, so familiarity depends only on the gate's prototypes, and each photo
can be left out of those. A fine-tuned backbone has made its own photos look familiar and forgets
how other
things differ from them (docs/decisions/training.md has the figures); its graph computes the
features of the original beside its own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from training.data.partition import Partition
from training.export.familiarity import MIN_PHOTOS, Familiarity, Floats, fit_familiarity
from training.loop.prepared import Prepared
from training.networks.backbones import LARGEST_BACKBONE_BYTES, size_in_bytes
from training.networks.network import TransferNetwork, unfrozen
from training.settings import TrainSettings

log = logging.getLogger(__name__)


def gate_of(
    prepared: Prepared, network: TransferNetwork, parts: Partition, settings: TrainSettings
) -> Familiarity | None:
    """Fits the gate of a trained network; logs why there is none.

    Args:
        parts: the images that it was trained on, and those that chose its epoch.
    """
    backbone = prepared.network.backbone
    twice = nn.ModuleList(unfrozen(prepared.network, settings.unfreeze))
    if size_in_bytes(backbone) + size_in_bytes(twice) > LARGEST_BACKBONE_BYTES:
        log.info(
            "no gate: it needs the layers from before fine-tuning too, and no archive holds %s "
            "twice",
            settings.backbone,
        )
        return None
    # Fine-tuning does not change it.
    rescale = network.head[0].cpu()

    def features(rows: Sequence[int]) -> Floats:
        with torch.inference_mode():
            scaled: Tensor = rescale(prepared.features.values[list(rows)].float())
        return scaled.numpy()

    rows = (*parts.train, *parts.valid)
    gate = fit_familiarity(features, rows, prepared.labels.numpy(), prepared.first_alike)
    if gate is None:
        log.info(
            "no gate: a threshold needs at least %d photos that can be left out",
            MIN_PHOTOS,
        )
        return None
    return replace(gate, before_finetuning=settings.unfreeze != "none")
