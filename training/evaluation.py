"""How good a servable model is on photos that it has not seen: by its archive's own ONNX graph."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging import ImageSpec, Rejection, prepare
from model.archive import ModelCard
from model.serving.onnx_model import OnnxModel
from training import classification_metrics as metrics
from training.dataset import DataSet, LabelledImage, load_pixels
from training.encodings import ENCODINGS, upright
from training.errors import TrainingError

BATCH = 8  # beyond that nothing is won: docs/decisions.md
ROBUSTNESS_IMAGES = 100
SPEED_RUNS = 5
REVIEW_TARGET = 0.95
PARTS = ("test", "valid", "train")

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.floating]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model says of photos, and what they are.

    Attributes:
        images: those that could be prepared.
        probabilities: float32 ``[n, labels]``.
        truth: int64 ``[n]``, places in the model's labels.
        gated: bool ``[n]``, whether the model's gate would have kept its labels back.
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


@dataclass(frozen=True, slots=True)
class EncodingEffect:
    """What an encoding does to the same photos."""

    name: str
    top1: float
    same_label: float
    """The share of photos that keep the label that they had."""
    confidence_change: float
    """Mean absolute difference of the likeliest class's confidence."""
    rejected: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds of CPU an image, medians on one thread; and the size of the weights."""

    prepare_ms: float
    model_ms: float
    weights_bytes: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature, where it was fitted, and what it does to the measured part."""

    temperature: float
    fitted_on: str
    ece_before: float
    ece_after: float
    threshold: metrics.Threshold | None


def part_to_measure(data: DataSet, wanted: str | None) -> str | None:
    """The part named, or the best there is: test, then valid, then train; None without parts.

    Raises:
        TrainingError: there is no such part.
    """
    there = {image.split for image in data.images}
    if wanted is not None:
        if wanted not in there:
            raise TrainingError(
                f"{data.folder} has no part {wanted}.", "Make parts with: imagedrop data split."
            )
        return wanted
    return next((part for part in PARTS if part in there), None)


def classes_in(card: ModelCard, data: DataSet) -> dict[int, int]:
    """The place of each of the data's classes in the model's labels.

    Raises:
        TrainingError: the model cannot name one of them.
    """
    places = {label.lower(): place for place, label in enumerate(card.labels)}
    unknown = [label for label in data.classes if label not in places]
    if unknown:
        raise TrainingError(
            f"{card.identity} cannot name {len(unknown)} of the {len(data.classes)} classes: "
            f"{', '.join(unknown[:8])}{' …' if len(unknown) > 8 else ''}.",
            "Leave their folders out, or evaluate a model that was trained on them.",
        )
    return {place: places[label] for place, label in enumerate(data.classes)}


def predict(
    model: OnnxModel,
    card: ModelCard,
    images: Sequence[LabelledImage],
    places: dict[int, int],
    on_image: Callable[[], None],
) -> Predicted:
    """Every photo prepared and classified as the endpoint does it; pixels are not kept.

    Args:
        places: of `classes_in`.
        on_image: called after each.

    Raises:
        TrainingError: not one of them could be prepared.
    """
    kept: list[LabelledImage] = []
    rejected: list[str] = []
    rows: list[Probabilities] = []
    known: list[npt.NDArray[np.floating]] = []
    for batch in _batches(images, card.image_spec, kept, rejected, on_image):
        scores = model.run(batch)
        rows.append(scores.probabilities)
        known.append(np.ones(len(batch)) if scores.known is None else scores.known)
    if not rows:
        raise TrainingError("Not one photo could be prepared.", "See: imagedrop data check FOLDER.")
    minimum = card.gate.minimum if card.gate else 0.0
    return Predicted(
        images=tuple(kept),
        probabilities=np.concatenate(rows),
        truth=np.array([places[each.class_index] for each in kept]),
        gated=np.concatenate(known) < minimum,
        rejected=tuple(rejected),
    )


def _batches(
    images: Sequence[LabelledImage],
    spec: ImageSpec,
    kept: list[LabelledImage],
    rejected: list[str],
    on_image: Callable[[], None],
) -> Iterator[Images]:
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


def calibrate(measured: Predicted, validation: Predicted | None) -> Calibration:
    """Fits the temperature on validation photos, and says what it does to the measured ones.

    Without a part of its own it is fitted on the measured photos; then each half is judged with
    the temperature of the other, so that nothing is judged by what it was fitted on.
    """
    before = metrics.expected_calibration_error(measured.probabilities, measured.truth)
    if validation is not None:
        temperature = metrics.fit_temperature(validation.probabilities, validation.truth)
        after = metrics.tempered(measured.probabilities, temperature)
        source, fitted_on = validation, f"{len(validation.truth)} validation photos"
    else:
        temperature = metrics.fit_temperature(measured.probabilities, measured.truth)
        after = _crosswise(measured)
        source = measured
        fitted_on = f"the {len(measured.truth)} measured photos; judged crosswise by halves"
    return Calibration(
        temperature=temperature,
        fitted_on=fitted_on,
        ece_before=before,
        ece_after=metrics.expected_calibration_error(after, measured.truth),
        threshold=metrics.review_threshold(
            metrics.tempered(source.probabilities, temperature), source.truth, REVIEW_TARGET
        ),
    )


def _crosswise(measured: Predicted) -> Probabilities:
    result = np.array(measured.probabilities, np.float64)
    halves = np.arange(len(result)) % 2 == 0
    for one in (halves, ~halves):
        if one.any() and (~one).any():
            fitted = metrics.fit_temperature(measured.probabilities[~one], measured.truth[~one])
            result[one] = metrics.tempered(measured.probabilities[one], fitted)
    return result


def robustness(
    model: OnnxModel, card: ModelCard, measured: Predicted, on_image: Callable[[], None]
) -> list[EncodingEffect]:
    """The same photos in every encoding, at most ROBUSTNESS_IMAGES from all over."""
    step = max(1, len(measured.images) // ROBUSTNESS_IMAGES)
    places = range(0, len(measured.images), step)[:ROBUSTNESS_IMAGES]
    found: dict[str, list[tuple[int, Probabilities | None]]] = {name: [] for name in ENCODINGS}
    for place in places:
        picture = upright(measured.images[place].path.read_bytes())
        for name, encode in ENCODINGS.items():
            found[name].append((place, _run_one(model, card.image_spec, encode(picture))))
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
    return EncodingEffect(
        name=name,
        # A photo that is rejected is not right either.
        top1=sum(row.argmax() == measured.truth[place] for place, row in seen) / count,
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


def speed(model: OnnxModel, spec: ImageSpec, weights: Path, photo: bytes) -> Speed:
    """One photo prepared, and a full batch of it run, a few times each."""
    prepared = prepare(photo, spec)
    if isinstance(prepared, Rejection):
        raise TrainingError(f"The photo was rejected: {prepared.reason}.", "Give another one.")
    pixels = np.frombuffer(prepared.pixels, np.uint8).reshape(1, spec.size, spec.size, 3)
    batch = np.repeat(pixels, BATCH, axis=0)
    return Speed(
        prepare_ms=_median_cpu_ms(lambda: prepare(photo, spec)),
        model_ms=_median_cpu_ms(lambda: model.run(batch)) / BATCH,
        weights_bytes=weights.stat().st_size,
    )


def _median_cpu_ms(work: Callable[[], Any]) -> float:
    work()
    times = []
    for _ in range(SPEED_RUNS):
        begin = time.process_time()
        work()
        times.append(1000 * (time.process_time() - begin))
    return float(np.median(times))


def picture_of(image: LabelledImage, pixels: int) -> bytes:
    """A small JPEG of a photo, for reports."""
    picture = upright(image.path.read_bytes())
    picture.thumbnail((pixels, pixels), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
