"""Measures the loss of accuracy and confidence by other encodings of the same photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from archive.card import ModelCard
from imaging import ImageSpec, Rejection, prepare
from model.serving.onnx_model import OnnxModel
from training.data.dataset import spread
from training.evaluation.encodings import ENCODINGS, working_copy
from training.evaluation.measure import Predicted, Probabilities

ROBUSTNESS_IMAGES = 100


@dataclass(frozen=True, slots=True)
class EncodingEffect:
    """The effect of one encoding on the same photos."""

    name: str
    top1: float
    top1_change: float
    """Compared with the original files, -1..1."""
    same_label: float
    """The share of photos whose label does not change."""
    confidence_change: float
    """Mean absolute difference of the likeliest class's confidence."""
    rejected: int


def robustness(
    model: OnnxModel, card: ModelCard, measured: Predicted, on_image: Callable[[], None]
) -> list[EncodingEffect]:
    """Classifies up to ROBUSTNESS_IMAGES photos, evenly from all classes, in every encoding."""
    place_of = {image: place for place, image in enumerate(measured.images)}
    found: dict[str, list[tuple[int, Probabilities | None]]] = {name: [] for name in ENCODINGS}
    for image in spread(measured.images, ROBUSTNESS_IMAGES):
        picture = working_copy(image.path.read_bytes())
        for name, encode in ENCODINGS.items():
            row = _run_one(model, card.image_spec, encode(picture))
            found[name].append((place_of[image], row))
        on_image()
    return [_effect(name, rows, measured) for name, rows in found.items()]


def _run_one(model: OnnxModel, spec: ImageSpec, content: bytes) -> Probabilities | None:
    prepared = prepare(content, spec)
    if isinstance(prepared, Rejection):
        return None
    pixels = np.frombuffer(prepared.pixels, np.uint8).reshape(1, spec.size, spec.size, 3)
    row: Probabilities = model.run(pixels).probabilities[0]
    return row


def _effect(
    name: str, rows: Sequence[tuple[int, Probabilities | None]], measured: Predicted
) -> EncodingEffect:
    seen = [(place, row) for place, row in rows if row is not None]
    before = [measured.probabilities[place] for place, _ in seen]
    count = max(1, len(rows))
    # A rejected photo counts as wrong.
    top1 = sum(row.argmax() == measured.truth[place] for place, row in seen) / count
    return EncodingEffect(
        name=name,
        top1=float(top1),
        top1_change=float(top1 - measured.right[[place for place, _ in rows]].mean()),
        same_label=sum(
            row.argmax() == old.argmax() for (_, row), old in zip(seen, before, strict=True)
        )
        / count,
        confidence_change=float(
            np.mean(
                [abs(row.max() - old.max()) for (_, row), old in zip(seen, before, strict=True)]
                or [0.0]
            )
        ),
        rejected=len(rows) - len(seen),
    )
