"""A model archive, loaded and ready: request bodies in, answers out."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from archive.card import ModelCard, read_model_card
from imaging import Prepared, Rejection, RejectReason
from imaging.decoder import Decoder
from model.serving.answers import about_image, answer_body
from model.serving.batching import Batcher
from model.serving.npy import read_images
from model.serving.onnx_model import Images, OnnxModel
from model.serving.refusals import ImageRejected

# Beyond 8 nothing is won: see bench/serving.py.
IMAGES_PER_RUN = 8


class Classifier:
    """The model with its runner thread and the threads that decode people's images."""

    def __init__(self, card: ModelCard, model: OnnxModel, cores: int) -> None:
        self.card = card
        self.spec = card.image_spec
        self.spec_hash = card.image_spec.hash
        self._batcher = Batcher(model.run, IMAGES_PER_RUN, runners=cores)
        # Each thread has a process of its own: what a file does to a decoder, it does there.
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="decoder")
        self._of_this_thread = threading.local()
        self._decoders: list[Decoder] = []

    @classmethod
    def load(cls, model_dir: Path, cores: int) -> Classifier:
        """Load an extracted archive and let the model answer a probe.

        Raises:
            OSError: a file is missing.
            ValueError: the files contradict each other.
        """
        card = read_model_card(model_dir / "model.json")
        model = OnnxModel(model_dir / "model.onnx")
        _probe(model, card)
        return cls(card, model, cores)

    async def classify_npy(self, body: bytes | bytearray) -> bytes:
        """The answer to an npy body.

        Raises:
            Refusal: the body is no array of such images.
        """
        images: Images = read_images(body, self.spec)
        return answer_body(await self._batcher.scores(images), self.card)

    async def classify_image(self, body: bytes | bytearray) -> bytes:
        """The answer to one image file, prepared as everywhere else.

        Raises:
            ImageRejected: the file was rejected, with the reason as code.
        """
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._threads, self._prepare, bytes(body))
        if isinstance(outcome, Rejection):
            status = 413 if outcome.reason is RejectReason.TOO_MANY_BYTES else 400
            raise ImageRejected(status, str(outcome.reason), outcome.detail, about_image(outcome))
        size = self.spec.size
        images = np.frombuffer(outcome.pixels, dtype=np.uint8).reshape(1, size, size, 3)
        return answer_body(await self._batcher.scores(images), self.card, about_image(outcome))

    def _prepare(self, body: bytes) -> Prepared | Rejection:
        decoder = getattr(self._of_this_thread, "decoder", None)
        if decoder is None:
            decoder = self._of_this_thread.decoder = Decoder()
            self._decoders.append(decoder)
        outcome: Prepared | Rejection = decoder.prepare(body, self.spec)
        return outcome

    def close(self) -> None:
        """Finish what waits, then end all threads and processes."""
        self._threads.shutdown()
        for decoder in self._decoders:
            decoder.close()
        self._batcher.close()


def _probe(model: OnnxModel, card: ModelCard) -> None:
    """Two real runs: /ping shall not say healthy for a model that cannot answer.

    The second one uses the largest batch, so that the first callers do not pay for its memory.
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
