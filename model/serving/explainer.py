"""An image and a label in, the map of where the model looked out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archive.card import ModelCard
from model.serving.class_activation import ClassActivation, NoActivationError
from model.serving.occlusion import Occlusion
from model.serving.onnx_model import Images
from model.serving.requests import RefusalError

# Decimals of logits: far below what is visible in a map.
DIGITS = 6


class Explainer:
    """Maps of one archive, for one thread.

    Its session is created for the first map, because few endpoints ever need one.
    """

    def __init__(self, weights: Path, card: ModelCard) -> None:
        self._weights = weights
        self._card = card
        self._method: ClassActivation | Occlusion | None = None

    def answer(self, images: Images, label: str) -> bytes:
        """Returns ``{"label", "model", "map", "method"}`` as JSON.

        By ``class activation`` the map is in logits: its mean plus the member ``bias`` is the
        label's logit, but for the rounding of an int8 model. By ``occlusion``, for other heads, it
        is by how much covering each place lowers the logarithm of the label's probability.

        Args:
            images: uint8 [1, size, size, 3].

        Raises:
            RefusalError: 400 for several images or an unknown label.
        """
        if len(images) != 1:
            raise RefusalError(400, "not_one_image", "a map is of one image at a time")
        if label not in self._card.labels:
            raise RefusalError(400, "unknown_label", f"{self._card.identity} has no such label")
        answer = {
            "label": label,
            "model": self._card.identity,
            **self._map(images, self._card.labels.index(label)),
        }
        return json.dumps(answer, separators=(",", ":")).encode()

    def _map(self, images: Images, label: int) -> dict[str, Any]:
        method = self._made()
        if isinstance(method, Occlusion):
            positions = method.of(images, label)
            return {"map": _rounded(positions.tolist()), "method": "occlusion"}
        found = method.of(images, label)
        return {
            "map": _rounded(found.positions.tolist()),
            "bias": round(found.bias, DIGITS),
            "method": "class activation",
        }

    def _made(self) -> ClassActivation | Occlusion:
        if self._method is None:
            try:
                self._method = ClassActivation(self._weights, self._card.image_spec.size)
            except NoActivationError:
                self._method = Occlusion.load(self._weights, self._card.image_spec)
        return self._method


def _rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[round(each, DIGITS) for each in row] for row in rows]
