"""An image and a label in, the map of where the model looked out."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from archive.card import ModelCard
from model.serving.class_activation import ClassActivation, NoActivationError
from model.serving.onnx_model import Images
from model.serving.requests import RefusalError

# Of logits: far below what anybody sees in a map.
DIGITS = 6


class Explainer:
    """Maps of one archive. Its session is made for the first map: few endpoints are ever asked."""

    def __init__(self, weights: Path, card: ModelCard) -> None:
        self._weights = weights
        self._card = card
        self._lock = threading.Lock()
        self._activation: ClassActivation | NoActivationError | None = None

    def answer(self, images: Images, label: str) -> bytes:
        """Returns ``{"label", "model", "map", "bias"}`` as JSON, in logits.

        The mean of ``map`` (rows of columns) plus ``bias`` is the label's logit, but for the
        rounding of an int8 model.

        Args:
            images: uint8 [1, size, size, 3].

        Raises:
            RefusalError: 400 for several images or an unknown label, 404 for a model without maps.
        """
        if len(images) != 1:
            raise RefusalError(400, "not_one_image", "a map is of one image at a time")
        if label not in self._card.labels:
            raise RefusalError(400, "unknown_label", f"{self._card.identity} has no such label")
        found = self._session().of(images, self._card.labels.index(label))
        answer = {
            "label": label,
            "model": self._card.identity,
            "map": [[round(each, DIGITS) for each in row] for row in found.positions.tolist()],
            "bias": round(found.bias, DIGITS),
        }
        return json.dumps(answer, separators=(",", ":")).encode()

    def _session(self) -> ClassActivation:
        with self._lock:
            if self._activation is None:
                self._activation = self._made()
        if isinstance(self._activation, NoActivationError):
            message = f"{self._card.identity} cannot show where it looked: {self._activation}"
            raise RefusalError(404, "no_explanation", message)
        return self._activation

    def _made(self) -> ClassActivation | NoActivationError:
        try:
            return ClassActivation(self._weights, self._card.image_spec.size)
        except NoActivationError as error:
            return error
