"""A model archive, loaded and ready: request bodies in, answers of the contract out."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from archive.card import CARD_NAME, ModelCard, read_model_card
from archive.reading import WEIGHTS_NAME
from imaging import Prepared, Rejection, RejectReason
from imaging.decoder import Decoder
from model.serving.batching import Batcher
from model.serving.npy import read_images
from model.serving.onnx_model import Images, OnnxModel, Scores
from model.serving.requests import ImageRejectedError
from model.serving.webp_batch import decode_webp

# More than 8 gain nothing: see bench/serving.py.
IMAGES_PER_RUN = 8
PREDICTIONS_PER_IMAGE = 5
# A float32 holds about seven digits; six keep the JSON short and hide no relevant difference.
CONFIDENCE_DIGITS = 6


class Classifier:
    """The model with its runner threads, and the threads that decode image files."""

    def __init__(self, card: ModelCard, model: OnnxModel, cores: int) -> None:
        self.card = card
        self.spec = card.image_spec
        self.spec_hash = card.image_spec.hash
        self._batcher = Batcher(model.run, IMAGES_PER_RUN, runners=cores)
        # Each thread has a decoder process: a hostile file can only harm that process.
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="decoder")
        self._of_this_thread = threading.local()
        self._decoders: list[Decoder] = []

    @classmethod
    def load(cls, model_dir: Path, cores: int) -> Classifier:
        """Loads an extracted archive and runs the model once as a test.

        Raises:
            OSError: a file is missing.
            ValueError: the files contradict each other.
        """
        card = read_model_card(model_dir / CARD_NAME)
        model = OnnxModel(model_dir / WEIGHTS_NAME)
        _probe(model, card)
        return cls(card, model, cores)

    async def classify_npy(self, body: bytes | bytearray) -> bytes:
        """Returns the answer to an npy body; RefusalError if it is not an array of such images."""
        images: Images = read_images(body, self.spec)
        return answer_body(await self._batcher.scores(images), self.card)

    async def classify_webp(self, files: list[memoryview]) -> bytes:
        """Returns the answer to files of `read_webp_batch`; RefusalError if one is damaged."""
        loop = asyncio.get_running_loop()
        images = await loop.run_in_executor(self._threads, decode_webp, files, self.spec)
        return answer_body(await self._batcher.scores(images), self.card)

    async def classify_image(self, body: bytes | bytearray) -> bytes:
        """Returns the answer to one image file, prepared as everywhere else.

        Raises:
            ImageRejectedError: the file was rejected, with the reason as code.
        """
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._threads, self._prepare, bytes(body))
        about = {"format": outcome.format, "width": outcome.width, "height": outcome.height}
        if isinstance(outcome, Rejection):
            status = 413 if outcome.reason is RejectReason.TOO_MANY_BYTES else 400
            raise ImageRejectedError(status, str(outcome.reason), outcome.detail, about)
        size = self.spec.size
        images = np.frombuffer(outcome.pixels, dtype=np.uint8).reshape(1, size, size, 3)
        return answer_body(await self._batcher.scores(images), self.card, about)

    def _prepare(self, body: bytes) -> Prepared | Rejection:
        decoder = getattr(self._of_this_thread, "decoder", None)
        if decoder is None:
            decoder = self._of_this_thread.decoder = Decoder()
            self._decoders.append(decoder)
        outcome: Prepared | Rejection = decoder.prepare(body, self.spec)
        return outcome

    def close(self) -> None:
        """Finishes the waiting work, then ends all threads and processes."""
        self._threads.shutdown()
        for decoder in self._decoders:
            decoder.close()
        self._batcher.close()


def answer_body(
    scores: Scores, card: ModelCard, image: Mapping[str, object] | None = None
) -> bytes:
    """Returns one entry an image, in order, as JSON.

    Args:
        image: format, width and height of the only image; None for pixels, where they are unknown.

    Raises:
        ValueError: a score is not a probability.
    """
    probabilities = scores.probabilities
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :PREDICTIONS_PER_IMAGE]
    confidences = np.take_along_axis(probabilities, best, axis=1)
    known = [None] * len(best) if scores.known is None else scores.known.tolist()
    entries = [
        _entry(*each, card) for each in zip(best.tolist(), confidences.tolist(), known, strict=True)
    ]
    if image is not None:
        entries[0]["image"] = image
    return json.dumps(entries, separators=(",", ":")).encode()


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
    # Softmax in float32 may end slightly outside 0..1; NaN fails the comparison too.
    if not -1e-3 <= value <= 1 + 1e-3:
        raise ValueError(f"the model gave {value}, which is not a probability")
    return round(min(max(value, 0.0), 1.0), CONFIDENCE_DIGITS)


def _probe(model: OnnxModel, card: ModelCard) -> None:
    """Runs the model twice: /ping must not report a healthy model that cannot answer.

    The second run has the largest batch, so that the first callers do not wait for its memory.
    """
    size = card.image_spec.size
    for count in (1, IMAGES_PER_RUN):
        grey = np.full((count, size, size, 3), 127, dtype=np.uint8)
        scores = model.run(grey)
        if scores.probabilities.shape != (count, len(card.labels)):
            raise ValueError(
                f"model.json names {len(card.labels)} labels, "
                f"the model answers {list(scores.probabilities.shape)} for {count} images"
            )
        if (card.gate is None) != (scores.known is None):
            raise ValueError("model.json and model.onnx do not agree on the gate")
        answer_body(scores, card)
