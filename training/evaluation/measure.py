"""How good a servable model is on photos that it has not seen: by its archive's own ONNX graph."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from archive.card import ModelCard
from imaging import ImageSpec, Rejection, prepare
from model.serving.onnx_model import OnnxModel
from training.data.dataset import DataSet, LabelledImage, load_pixels, spread
from training.errors import TrainingError
from training.evaluation import metrics
from training.evaluation.encodings import ENCODINGS, upright, working_copy

BATCH = 8  # larger batches are not faster per image
ROBUSTNESS_IMAGES = 100
SPEED_IMAGES = 30
REVIEW_TARGET = 0.95

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
    top1_change: float
    """Against the same photos as they are, -1..1."""
    same_label: float
    """The share of photos that keep the label that they had."""
    confidence_change: float
    """Mean absolute difference of the likeliest class's confidence."""
    rejected: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one thread for one image after the other."""

    cpu_ms: float
    """The median."""
    latency_ms: float
    """The median of the wall time, other programs included."""
    latency_p95_ms: float


@dataclass(frozen=True, slots=True)
class Speed:
    """How long photos take, and how large the weights are."""

    images: int
    prepare: Timing
    model: Timing
    """One image a run."""
    model_batch_cpu_ms: float
    """The median for one image of BATCH in a run."""
    weights_bytes: int

    @property
    def images_per_cpu_second(self) -> float:
        """Prepared one by one and run in batches of BATCH."""
        return 1000 / (self.prepare.cpu_ms + self.model_batch_cpu_ms)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature, where it was fitted, and what it does to the measured photos.

    Attributes:
        temperature: on top of what the model has already.
        threshold: for review, of the confidences with that temperature; and what held for the
            photos that it was chosen on.
        coverage: the share of the measured photos that is above, chosen on others.
        accuracy: how many of those are right; None where none is above.
    """

    temperature: float
    fitted_on: str
    ece_before: float
    ece_after: float
    threshold: metrics.Threshold | None
    coverage: float
    accuracy: float | None


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
    """Fits temperature and review threshold on validation photos; judges them on the measured.

    Without a part of its own they are fitted on the measured photos; then each half is judged with
    what the other half gives, so that nothing is judged by what it was fitted on.
    """
    source = validation or measured
    temperature, threshold = _fitted(source.probabilities, source.truth)
    if validation is not None:
        after = metrics.tempered(measured.probabilities, temperature)
        above = _above(after, threshold)
        fitted_on = f"{len(validation.truth)} validation photos"
    else:
        after, above = _crosswise(measured)
        fitted_on = f"the {len(measured.truth)} measured photos; judged crosswise by halves"
    return Calibration(
        temperature=temperature,
        fitted_on=fitted_on,
        ece_before=metrics.expected_calibration_error(measured.probabilities, measured.truth),
        ece_after=metrics.expected_calibration_error(after, measured.truth),
        threshold=threshold,
        coverage=float(above.mean()),
        accuracy=float(measured.right[above].mean()) if above.any() else None,
    )


def _fitted(probabilities: Probabilities, truth: Classes) -> tuple[float, metrics.Threshold | None]:
    temperature = metrics.fit_temperature(probabilities, truth)
    after = metrics.tempered(probabilities, temperature)
    return temperature, metrics.review_threshold(after, truth, REVIEW_TARGET)


def _above(
    probabilities: Probabilities, threshold: metrics.Threshold | None
) -> npt.NDArray[np.bool_]:
    least = np.inf if threshold is None else threshold.confidence
    return np.asarray(probabilities.max(axis=1) >= least)


def _crosswise(measured: Predicted) -> tuple[Probabilities, npt.NDArray[np.bool_]]:
    after = np.array(measured.probabilities, np.float64)
    above = np.zeros(len(after), bool)
    # Every other one: photos are sorted by class, so each half has something of all of them.
    evens = np.arange(len(after)) % 2 == 0
    for one in (evens, ~evens):
        if one.any() and (~one).any():
            temperature, threshold = _fitted(measured.probabilities[~one], measured.truth[~one])
            after[one] = metrics.tempered(measured.probabilities[one], temperature)
            above[one] = _above(after[one], threshold)
    return after, above


def robustness(
    model: OnnxModel, card: ModelCard, measured: Predicted, on_image: Callable[[], None]
) -> list[EncodingEffect]:
    """The same photos in every encoding, at most ROBUSTNESS_IMAGES from all over."""
    place_of = {image: place for place, image in enumerate(measured.images)}
    found: dict[str, list[tuple[int, Probabilities | None]]] = {name: [] for name in ENCODINGS}
    for image in spread(measured.images, ROBUSTNESS_IMAGES):
        picture = working_copy(image.path.read_bytes())
        for name, encode in ENCODINGS.items():
            row = _run_one(model, card.image_spec, encode(picture))
            found[name].append((place_of[image], row))
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
    # A photo that is rejected is not right either.
    top1 = sum(row.argmax() == measured.truth[place] for place, row in seen) / count
    return EncodingEffect(
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


def speed(
    model: OnnxModel, spec: ImageSpec, weights: Path, images: Sequence[LabelledImage]
) -> Speed:
    """SPEED_IMAGES of the photos, from all over, prepared and run; each photo can be prepared."""
    files = [image.path.read_bytes() for image in spread(images, SPEED_IMAGES)]
    pixels = [_pixels(content, spec) for content in files]
    batches = [np.repeat(each, BATCH, axis=0) for each in pixels[: max(1, SPEED_IMAGES // BATCH)]]
    return Speed(
        images=len(files),
        prepare=_timing([partial(prepare, content, spec) for content in files]),
        model=_timing([partial(model.run, each) for each in pixels]),
        model_batch_cpu_ms=_timing([partial(model.run, each) for each in batches]).cpu_ms / BATCH,
        weights_bytes=weights.stat().st_size,
    )


def _pixels(content: bytes, spec: ImageSpec) -> Images:
    """uint8 [1, size, size, 3]."""
    prepared = prepare(content, spec)
    if isinstance(prepared, Rejection):
        raise TrainingError(f"A photo is rejected now: {prepared.reason}.", "Begin again.")
    return np.frombuffer(prepared.pixels, np.uint8).reshape(1, spec.size, spec.size, 3)


def _timing(works: Sequence[Callable[[], object]]) -> Timing:
    works[0]()  # the first of a kind allocates
    cpu, wall = [], []
    for work in works:
        cpu_begin, wall_begin = time.process_time(), time.perf_counter()
        work()
        wall.append(1000 * (time.perf_counter() - wall_begin))
        cpu.append(1000 * (time.process_time() - cpu_begin))
    return Timing(float(np.median(cpu)), float(np.median(wall)), float(np.percentile(wall, 95)))


def picture_of(image: LabelledImage, pixels: int) -> bytes:
    """A small JPEG of a photo, for reports."""
    picture = upright(image.path.read_bytes())
    picture.thumbnail((pixels, pixels), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
