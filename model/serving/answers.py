"""Scores in, the contract's answer out: the label, its confidence, the group, the five best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from archive.card import ModelCard
from archive.uncertainty import Groups, Unknown
from model.serving.onnx_model import Scores

PREDICTIONS_PER_IMAGE = 5
# A float32 holds about seven digits; six keep the JSON short and hide no relevant difference.
CONFIDENCE_DIGITS = 6
# Replaces a probability that underflowed to 0, so that it has a logarithm.
SMALLEST_PROBABILITY = 1e-30

Probabilities = npt.NDArray[np.floating]


def answer_body(
    scores: Scores, card: ModelCard, image: Mapping[str, object] | None = None
) -> bytes:
    """Returns one entry an image, in order, as JSON.

    The label is the likeliest; the gate's where the image shows nothing that the model knows, or
    that of the rule `unknown` where no label leads the others enough. The five best labels are
    there in any case, the group where the model is sure of it. The confidence is that of the
    label: a probability; for the gate's one minus `known`; for an unknown one the share of known
    photos with a larger lead.

    Args:
        image: format, width and height of the only image; None for pixels, where they are unknown.

    Raises:
        ValueError: a score is not a probability.
    """
    probabilities = scores.probabilities
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :PREDICTIONS_PER_IMAGE]
    predictions = _predictions(best, np.take_along_axis(probabilities, best, axis=1), card)
    refused = refusals(scores, card)
    groups = groups_of(probabilities, card.labels, card.groups)
    entries = [_entry(*each, card) for each in zip(predictions, refused, groups, strict=True)]
    if image is not None:
        entries[0]["image"] = image
    return json.dumps(entries, separators=(",", ":")).encode()


def refusals(scores: Scores, card: ModelCard) -> list[tuple[str, float] | None]:
    """Returns the label and confidence of each image that gets none of the model's labels."""
    refused: list[tuple[str, float] | None] = [None] * len(scores.probabilities)
    if card.unknown is not None:
        for place, lead in enumerate(leads(scores.probabilities, card.unknown).tolist()):
            if lead < card.unknown.minimum:
                sure = _confidence(1 - card.unknown.share_below(lead))
                refused[place] = card.unknown.label, sure
    if card.gate is not None and scores.known is not None:
        for place, known in enumerate(scores.known.tolist()):
            # Rounded first, so that the answer's confidence and the verdict agree.
            if (share := _confidence(known)) < card.gate.minimum:
                refused[place] = card.gate.label, _confidence(1 - share)
    return refused


def leads(probabilities: Probabilities, rule: Unknown) -> npt.NDArray[np.float64]:
    """Returns how far the best label leads its rivals, in nats: float [n, labels] to float64 [n].

    After X. Liu, Y. Lochman, C. Zach, "GEN" (CVPR 2023), whose score also looks at the largest
    probabilities alone; docs/decisions/model.md compares.
    """
    few = -np.sort(-probabilities, axis=1)[:, : 1 + rule.rivals]
    logarithms = np.log(np.maximum(few, SMALLEST_PROBABILITY, dtype=np.float64))
    result: npt.NDArray[np.float64] = logarithms[:, 0] - logarithms[:, 1:].mean(axis=1)
    return result


def groups_of(
    probabilities: Probabilities, labels: tuple[str, ...], groups: Groups | None
) -> list[str | None]:
    """Returns the group of each image whose labels' probabilities add up to the minimum."""
    if groups is None or not groups.of:
        return [None] * len(probabilities)
    names, member = _membership(labels, tuple(groups.of.items()))
    shares = probabilities @ member
    best = shares.argmax(axis=1)
    sure = shares.max(axis=1) >= groups.minimum
    return [names[place] if is_sure else None for place, is_sure in zip(best, sure, strict=True)]


@lru_cache(maxsize=4)
def _membership(
    labels: tuple[str, ...], group_of: tuple[tuple[str, str], ...]
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Returns the groups' names, and 1 where a label belongs to a group: [labels, groups]."""
    of = dict(group_of)
    names = list(dict.fromkeys(of.values()))
    return names, np.array([[float(of.get(label) == name) for name in names] for label in labels])


def _predictions(
    best: npt.NDArray[np.int64], confidences: Probabilities, card: ModelCard
) -> list[list[dict[str, object]]]:
    return [
        [
            {"label": card.labels[place], "confidence": _confidence(confidence)}
            for place, confidence in zip(*row, strict=True)
        ]
        for row in zip(best.tolist(), confidences.tolist(), strict=True)
    ]


def _entry(
    predictions: list[dict[str, object]],
    refused: tuple[str, float] | None,
    group: str | None,
    card: ModelCard,
) -> dict[str, object]:
    verdict = predictions[0]
    if refused is not None:
        verdict = dict(zip(("label", "confidence"), refused, strict=True))
    entry = {**verdict, "predictions": predictions, "model": card.identity}
    is_nothing_known = card.gate is not None and verdict["label"] == card.gate.label
    if group is not None and not is_nothing_known:
        entry["group"] = group
    return entry


def _confidence(value: float) -> float:
    # Softmax in float32 may end slightly outside 0..1; NaN fails the comparison too.
    if not -1e-3 <= value <= 1 + 1e-3:
        raise ValueError(f"the model gave {value}, which is not a probability")
    return round(float(min(max(value, 0.0), 1.0)), CONFIDENCE_DIGITS)
