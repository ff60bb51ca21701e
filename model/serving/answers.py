"""From the model's scores to the answer of the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from archive.card import ModelCard
from imaging import Prepared, Rejection
from model.serving.onnx_model import Scores

PREDICTIONS_PER_IMAGE = 5
# A float32 holds about seven digits; six keep the JSON short and hide no difference that counts.
CONFIDENCE_DIGITS = 6


def answer_body(
    scores: Scores, card: ModelCard, image: Mapping[str, object] | None = None
) -> bytes:
    """One entry an image, in order, as JSON.

    Args:
        scores: of the images.
        card: the model's.
        image: what is known of the only image; None where pixels came, and it is not known.

    Raises:
        ValueError: the model gave something that is no probability.
    """
    probabilities = scores.probabilities
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :PREDICTIONS_PER_IMAGE]
    confidences = np.take_along_axis(probabilities, best, axis=1)
    known = [None] * len(best) if scores.known is None else scores.known.tolist()
    entries = [
        _entry(*image, card)
        for image in zip(best.tolist(), confidences.tolist(), known, strict=True)
    ]
    if image is not None:
        entries[0]["image"] = image
    return json.dumps(entries, separators=(",", ":")).encode()


def about_image(outcome: Prepared | Rejection) -> dict[str, object]:
    """What a record says of an image file besides its labels; None where it is not known."""
    return {"format": outcome.format, "width": outcome.width, "height": outcome.height}


def _entry(
    best: list[int], confidences: list[float], known: float | None, card: ModelCard
) -> dict[str, object]:
    predictions = [
        {"label": card.labels[index], "confidence": _confidence(confidence)}
        for index, confidence in zip(best, confidences, strict=True)
    ]
    verdict = predictions[0]
    if card.gate is not None and known is not None:
        share = _confidence(known)
        if share < card.gate.minimum:
            verdict = {"label": card.gate.label, "confidence": _confidence(1 - share)}
    return {**verdict, "predictions": predictions, "model": card.identity}


def _confidence(value: float) -> float:
    # Softmax in float32 may end a hair outside 0..1; NaN fails the comparison, too.
    if not -1e-3 <= value <= 1 + 1e-3:
        raise ValueError(f"the model gave {value}, which is no probability")
    return round(min(max(value, 0.0), 1.0), CONFIDENCE_DIGITS)
