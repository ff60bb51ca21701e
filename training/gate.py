"""The gate of one training: what its own photos say about how familiar a new one must look.

A frozen backbone learned from no photo, so the gate leaves out whom it likes. A backbone that was
fine-tuned has made its own photos look familiar: its threshold comes from photos which it did not
learn from. Those are the validation photos; or with folds every photo, judged by its fold's network
and prototypes, as in cross-conformal prediction (V. Vovk, "Cross-conformal predictors", 2015).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imaging import Rejection
from model.export import normalise
from training.data.dataset import LabelledImage, load_pixels
from training.data.partition import Partition
from training.familiarity import (
    MIN_PHOTOS,
    Familiarity,
    Floats,
    Scores,
    familiarity,
    fit_familiarity,
    prototypes,
    selected,
    thresholded,
    unit_lengths,
)
from training.network import TransferNetwork
from training.prepared import Prepared
from training.settings import TrainSettings

log = logging.getLogger(__name__)


def gate_of(
    prepared: Prepared,
    network: TransferNetwork,
    parts: Partition,
    settings: TrainSettings,
    out_of_fold: Scores | None,
) -> Familiarity | None:
    """Fits the gate of a trained network; logs why there is none.

    Args:
        parts: the images that it was trained on, and those that chose its epoch.
        out_of_fold: of a fine-tuned network with folds, `left_out_scores` of each fold.
    """
    if settings.unfreeze == "none":
        gate = _of_frozen(prepared, network, parts)
    else:
        gate = _of_finetuned(prepared, network, parts, settings, out_of_fold)
    if gate is None:
        log.info(
            "no gate: a threshold needs at least %d photos that can be left out%s",
            MIN_PHOTOS,
            "" if settings.unfreeze == "none" else "; --folds 4 leaves out every photo once",
        )
    return gate


def left_out_scores(
    prepared: Prepared, network: TransferNetwork, parts: Partition, settings: TrainSettings
) -> Scores:
    """How familiar the images of `valid` look to a network that learned from `train`: float64 [n].

    Raises:
        OSError: an image cannot be read or has changed.
    """
    nearest = _prototypes(prepared, network, parts.train, settings)
    return _scores(prepared, network, parts.valid, settings, nearest)


def _of_frozen(
    prepared: Prepared, network: TransferNetwork, parts: Partition
) -> Familiarity | None:
    rescale = network.head[0].cpu()

    def features(rows: Sequence[int]) -> Floats:
        with torch.inference_mode():
            scaled: Tensor = rescale(prepared.features.values[list(rows)].float())
        return scaled.numpy()

    rows = (*parts.train, *parts.valid)
    return fit_familiarity(features, rows, prepared.labels.numpy(), prepared.first_alike)


def _of_finetuned(
    prepared: Prepared,
    network: TransferNetwork,
    parts: Partition,
    settings: TrainSettings,
    out_of_fold: Scores | None,
) -> Familiarity | None:
    if len(parts.valid if out_of_fold is None else out_of_fold) < MIN_PHOTOS:
        return None
    network.to(prepared.device)
    nearest = _prototypes(prepared, network, parts.train, settings)
    if out_of_fold is None:
        out_of_fold = _scores(prepared, network, parts.valid, settings, nearest)
    # Photos of new classes cannot be judged: the backbone learned from all of them.
    return thresholded(nearest, out_of_fold, new_classes_refused=None)


def _prototypes(
    prepared: Prepared, network: TransferNetwork, rows: Sequence[int], settings: TrainSettings
) -> Floats:
    chosen = selected(rows)
    return prototypes(_units(prepared, network, chosen, settings), prepared.labels[chosen].numpy())


def _scores(
    prepared: Prepared,
    network: TransferNetwork,
    rows: Sequence[int],
    settings: TrainSettings,
    nearest: Floats,
) -> Scores:
    return familiarity(_units(prepared, network, selected(rows), settings), nearest)


def _units(
    prepared: Prepared, network: TransferNetwork, rows: Sequence[int], settings: TrainSettings
) -> Floats:
    """The directions of images' features as the last layer gets them: float32 [n, d].

    Of several processes each computes all of them, because the last call is the first one's alone.
    """
    mean, std = (
        torch.tensor(levels, device=prepared.device).reshape(1, 3, 1, 1)
        for levels in (prepared.spec.mean, prepared.spec.std)
    )
    network.eval()
    found: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(rows), settings.batch_size):
            images = [prepared.images[row] for row in rows[start : start + settings.batch_size]]
            pixels = torch.from_numpy(np.stack([_pixels(each, prepared) for each in images]))
            inputs = normalise(pixels.to(prepared.device), mean, std)
            found.append(network.head[0](network.backbone(inputs)).cpu())
    return unit_lengths(torch.cat(found).numpy())


def _pixels(image: LabelledImage, prepared: Prepared) -> npt.NDArray[np.uint8]:
    outcome = load_pixels(image, prepared.spec)
    if isinstance(outcome, Rejection):
        # The file was accepted when its features were computed.
        raise OSError(f"{image.path} changed during the training: {outcome.detail}")
    return outcome
