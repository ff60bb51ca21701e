"""A model archive, loaded and ready: request bodies in, answers of the contract out."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from archive.card import CARD_NAME, ModelCard, read_model_card
from archive.reading import WEIGHTS_NAME
from imaging import Prepared, Rejection, RejectReason
from imaging.decoder import Decoder
from model.serving.answers import answer_body
from model.serving.batching import Batcher
from model.serving.explainer import Explainer
from model.serving.npy import read_images
from model.serving.onnx_model import Images, OnnxModel
from model.serving.requests import ImageRejectedError
from model.serving.webp_batch import decode_webp

# More than 8 gain nothing: see bench/serving.py.
IMAGES_PER_RUN = 8


class Classifier:
    """The model with its runner threads, and the threads that decode image files."""

    def __init__(self, card: ModelCard, model: OnnxModel, cores: int, explainer: Explainer) -> None:
        self.card = card
        self._explainer = explainer
        self.spec = card.image_spec
        self.spec_hash = card.image_spec.hash
        self._batcher = Batcher(model.run, IMAGES_PER_RUN, runners=cores)
        # Each thread has a decoder process: a hostile file can only harm that process.
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="decoder")
        # One thread: a map by occlusion takes seconds, and must not delay the decoders.
        self._explaining = ThreadPoolExecutor(1, thread_name_prefix="explainer")
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
        return cls(card, model, cores, Explainer(model_dir / WEIGHTS_NAME, card))

    async def classify_npy(self, body: bytes | bytearray) -> bytes:
        """Returns the answer to an npy body; RefusalError if it is not an array of such images."""
        images: Images = read_images(body, self.spec)
        return answer_body(await self._batcher.scores(images), self.card)

    async def explain_npy(self, body: bytes | bytearray, label: str) -> bytes:
        """Returns where the model looked for a label in the only image of an npy body.

        Raises:
            RefusalError: it is not an array of one such image; the model has no such label, or a
            head without maps.
        """
        images: Images = read_images(body, self.spec)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._explaining, self._explainer.answer, images, label)

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
        self._explaining.shutdown()
        for decoder in self._decoders:
            decoder.close()
        self._batcher.close()


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
