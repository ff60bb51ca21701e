"""Runs a servable model over photos: the predictions on which all other measurements are based."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from archive.card import ModelCard
from archive.names import Names, labels_named
from imaging import ImageSpec, Rejection
from model.serving.onnx_model import OnnxModel
from training.data.dataset import DataSet, LabelledImage, load_pixels
from training.errors import TrainingError
from training.evaluation.encodings import upright

BATCH = 8  # larger batches are not faster per image

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.floating]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Predicted:
    """A model's predictions of photos, and their true classes.

    Attributes:
        images: the n photos that could be prepared.
        probabilities: float32 ``[n, labels]``.
        truth: int64 ``[n]``, indices in the model's labels.
        gated: bool ``[n]``, whether the model's gate would have withheld its labels.
        rejected: path and reason of each photo that could not be prepared.
    """

    images: tuple[LabelledImage, ...]
    probabilities: Probabilities
    truth: Classes
    gated: npt.NDArray[np.bool_]
    rejected: tuple[str, ...]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.truth
        return found


def classes_in(card: ModelCard, data: DataSet) -> dict[int, int]:
    """Maps the index of each class of the data to its index in the model's labels.

    Raises:
        TrainingError: the model lacks a class.
    """
    places = label_places(card.labels, data.classes, card.names)
    unknown = [label for label in data.classes if label not in places]
    if unknown:
        raise TrainingError(
            f"{card.identity} cannot name {len(unknown)} of the {len(data.classes)} classes: "
            f"{', '.join(unknown[:8])}{' …' if len(unknown) > 8 else ''}.",
            "Leave their folders out, or evaluate a model that was trained on them.",
        )
    return {place: places[label] for place, label in enumerate(data.classes)}


def label_places(
    labels: Sequence[str], wanted: Sequence[str], names: Names | None = None
) -> dict[str, int]:
    """Finds each wanted label: as it is written, else in another case, else by a name of the card.

    Another case or name counts only if exactly one label and one wanted name have it.
    """
    found = {label: place for place, label in enumerate(labels) if label in wanted}
    on_either_side = Counter(label.lower() for label in (*labels, *wanted))
    places = {label.lower(): place for place, label in enumerate(labels)}
    for label in wanted:
        if label not in found and on_either_side[label.lower()] == 2 and label.lower() in places:
            found[label] = places[label.lower()]
    for label in wanted:
        named = labels_named(label, labels, names or {}) if label not in found else []
        if len(named) == 1 and labels.index(named[0]) not in found.values():
            found[label] = labels.index(named[0])
    return found


def predict(
    model: OnnxModel,
    card: ModelCard,
    images: Sequence[LabelledImage],
    places: dict[int, int],
    on_image: Callable[[], None],
) -> Predicted:
    """Prepares and classifies every photo as the endpoint does; keeps no pixels.

    Args:
        places: of `classes_in`.
        on_image: called after each photo.

    Raises:
        TrainingError: none could be prepared.
    """
    kept: list[LabelledImage] = []
    rejected: list[str] = []
    rows: list[Probabilities] = []
    known: list[npt.NDArray[np.floating]] = []
    for batch in batches(images, card.image_spec, kept, rejected, on_image):
        scores = model.run(batch)
        rows.append(scores.probabilities)
        known.append(np.ones(len(batch)) if scores.known is None else scores.known)
    if not rows:
        raise TrainingError("No photo could be prepared.", "See: imagedrop data check FOLDER.")
    minimum = card.gate.minimum if card.gate else 0.0
    return Predicted(
        images=tuple(kept),
        probabilities=np.concatenate(rows),
        truth=np.array([places[each.class_index] for each in kept]),
        gated=np.concatenate(known) < minimum,
        rejected=tuple(rejected),
    )


def batches(
    images: Sequence[LabelledImage],
    spec: ImageSpec,
    kept: list[LabelledImage],
    rejected: list[str],
    on_image: Callable[[], None],
) -> Iterator[Images]:
    """Yields the pixels of BATCH photos at a time; appends to `kept` and `rejected` as it goes."""
    waiting: list[Images] = []
    for image in images:
        pixels = load_pixels(image, spec)
        on_image()
        if isinstance(pixels, Rejection):
            rejected.append(f"{image.path}: {pixels.reason}")
            continue
        kept.append(image)
        waiting.append(pixels)
        if len(waiting) == BATCH:
            yield np.stack(waiting)
            waiting.clear()
    if waiting:
        yield np.stack(waiting)


def picture_of(image: LabelledImage, pixels: int) -> bytes:
    """A JPEG of a photo for reports, its longer side at most so many pixels."""
    picture = upright(image.path.read_bytes(), pixels)
    picture.thumbnail((pixels, pixels), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
