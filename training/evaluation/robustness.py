"""Measures the loss of accuracy and confidence by other encodings and conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from archive.card import ModelCard
from imaging import ImageSpec, Rejection
from model.serving.onnx_model import OnnxModel
from training.data.dataset import pixels_of, spread
from training.evaluation.conditions import CONDITIONS
from training.evaluation.encodings import ENCODINGS, working_copy
from training.evaluation.measure import Predicted, Probabilities

ROBUSTNESS_IMAGES = 100


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of one encoding or condition on the same photos."""

    name: str
    top1: float
    top1_change: float
    """Compared with the original files, -1..1."""
    same_label: float
    """The share of photos whose label does not change."""
    confidence_change: float
    """Mean absolute difference of the likeliest class's confidence."""
    rejected: int


@dataclass(frozen=True, slots=True)
class Robustness:
    """The effects of all encodings and conditions; empty where they were not measured."""

    encodings: tuple[Effect, ...] = ()
    conditions: tuple[Effect, ...] = ()

    @property
    def weakest(self) -> Effect | None:
        """The condition with the fewest right answers."""
        return min(self.conditions, key=lambda each: each.top1, default=None)


def robustness(
    model: OnnxModel, card: ModelCard, measured: Predicted, on_image: Callable[[], None]
) -> Robustness:
    """Classifies up to ROBUSTNESS_IMAGES photos, evenly from all classes, in every form."""
    place_of = {image: place for place, image in enumerate(measured.images)}
    forms: Mapping[str, Callable[[Image.Image], bytes]] = {**ENCODINGS, **CONDITIONS}
    found: dict[str, list[tuple[int, Probabilities | None]]] = {name: [] for name in forms}
    for image in spread(measured.images, ROBUSTNESS_IMAGES):
        try:
            picture: Image.Image | None = working_copy(image.path.read_bytes())
        except OSError:  # it fits the model's size, not this larger one: rejected in every form
            picture = None
        for name, encode in forms.items():
            row = _run_one(model, card.image_spec, encode(picture)) if picture else None
            found[name].append((place_of[image], row))
        on_image()
    effects = {name: _effect(name, rows, measured) for name, rows in found.items()}
    return Robustness(
        encodings=tuple(effects[name] for name in ENCODINGS),
        conditions=tuple(effects[name] for name in CONDITIONS),
    )


def _run_one(model: OnnxModel, spec: ImageSpec, content: bytes) -> Probabilities | None:
    pixels = pixels_of(content, spec)
    if isinstance(pixels, Rejection):
        return None
    row: Probabilities = model.run(pixels[None]).probabilities[0]
    return row


def _effect(
    name: str, rows: Sequence[tuple[int, Probabilities | None]], measured: Predicted
) -> Effect:
    seen = [(place, row) for place, row in rows if row is not None]
    before = [measured.probabilities[place] for place, _ in seen]
    count = max(1, len(rows))
    # A rejected photo counts as wrong.
    top1 = sum(row.argmax() == measured.truth[place] for place, row in seen) / count
    return Effect(
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
