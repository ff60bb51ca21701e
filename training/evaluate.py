"""An archive judged on a data set: everything that `imagedrop evaluate` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from imaging import ImageSpec, Rejection
from model.archive import CARD_NAME, WEIGHTS_NAME, ModelCard, read_model_card
from model.serving.onnx_model import OnnxModel
from training import classification_metrics as metrics
from training.dataset import DataSet, LabelledImage, load_pixels
from training.errors import TrainingError
from training.evaluation import (
    Calibration,
    EncodingEffect,
    Predicted,
    Speed,
    calibrate,
    classes_in,
    part_to_measure,
    predict,
    robustness,
    speed,
)

# Half a point of accuracy is what int8 may cost before it is not recommended.
MAX_INT8_LOSS_POINTS = 0.5
INT8_CALIBRATION_IMAGES = 96


@dataclass(frozen=True, slots=True)
class Int8Offer:
    """The int8 form of the same model, measured on the same photos."""

    weights: Path
    top1: float
    loss: metrics.PairedLoss
    speed: Speed
    calibration_images: int

    @property
    def is_recommended(self) -> bool:
        return self.loss.points < MAX_INT8_LOSS_POINTS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The whole verdict. ``part`` is None for a data set without parts."""

    card: ModelCard
    data: DataSet
    data_manifest_sha256: str
    part: str | None
    measured: Predicted
    calibration: Calibration
    effects: tuple[EncodingEffect, ...]
    speed: Speed
    int8: Int8Offer | None

    @property
    def was_seen(self) -> bool:
        """Whether the model was trained on these very photos: then it says little."""
        trained_on = self.card.training_run.get("data_manifest_sha256")
        return trained_on == self.data_manifest_sha256 and self.part in (None, "train")

    @property
    def matrix(self) -> npt.NDArray[np.int64]:
        predicted = self.measured.probabilities.argmax(axis=1)
        return metrics.confusion_matrix(predicted, self.measured.truth, len(self.card.labels))

    def top(self, k: int) -> float:
        return metrics.top_k(self.measured.probabilities, self.measured.truth, k)

    @property
    def top1_interval(self) -> tuple[float, float]:
        right = self.measured.right
        return metrics.wilson_interval(int(right.sum()), len(right))

    @property
    def class_scores(self) -> dict[str, metrics.ClassScore]:
        """Of the classes that the data have."""
        scores = zip(self.card.labels, metrics.class_scores(self.matrix), strict=True)
        return {label: score for label, score in scores if score.support}

    @property
    def macro_f1(self) -> float:
        return metrics.macro_f1(metrics.class_scores(self.matrix))

    @property
    def measured_on(self) -> str:
        where = f"the part {self.part}" if self.part else "all"
        seen = ", which it was trained on" if self.was_seen else ""
        return f"{len(self.measured.truth)} photos, {where} of {self.data.folder.name}{seen}"

    def to_json(self) -> dict[str, Any]:
        int8 = self.int8
        return {
            "schema": 1,
            "model": self.card.identity,
            "measured_on": self.measured_on,
            "data_manifest_sha256": self.data_manifest_sha256,
            "images": len(self.measured.truth),
            "rejected": list(self.measured.rejected),
            "top1": self.top(1),
            "top1_interval": list(self.top1_interval),
            "top5": self.top(5),
            "macro_f1": self.macro_f1,
            "gated": float(self.measured.gated.mean()),
            "classes": {label: asdict(each) for label, each in self.class_scores.items()},
            "calibration": asdict(self.calibration),
            "encodings": [asdict(each) for each in self.effects],
            "speed": asdict(self.speed),
            "int8": None
            if int8 is None
            else {
                "top1": int8.top1,
                "loss": asdict(int8.loss),
                "speed": asdict(int8.speed),
                "calibration_images": int8.calibration_images,
                "recommended": int8.is_recommended,
            },
        }


@dataclass(frozen=True, slots=True)
class Steps:
    """Who is told of the progress: `begin` with what is done and how many, `advance` with each."""

    begin: Callable[[str, int], None]
    advance: Callable[[], None]


def evaluate(
    content: Path,
    data: DataSet,
    wanted_part: str | None,
    int8_weights: Path | None,
    steps: Steps,
) -> Evaluation:
    """
    Args:
        content: a folder with the model's `model.onnx` and `model.json`.
        wanted_part: None for the best there is: test, valid, train.
        int8_weights: where the int8 form is to be written and measured; None: it is not.

    Raises:
        TrainingError: the model cannot name a class, or there is nothing to measure with.
        ArchiveError: the card is none.
        OSError: a file cannot be read.
    """
    card = read_model_card(content / CARD_NAME)
    part, places = part_to_measure(data, wanted_part), classes_in(card, data)
    images = data.images if part is None else data.split(part)
    model = OnnxModel(content / WEIGHTS_NAME)
    steps.begin("measuring", len(images))
    measured = predict(model, card, images, places, steps.advance)
    validation = None
    if part == "test" and data.split("valid"):
        steps.begin("calibrating", len(data.split("valid")))
        validation = predict(model, card, data.split("valid"), places, steps.advance)
    steps.begin("encodings", min(100, len(measured.images)))
    effects = robustness(model, card, measured, steps.advance)
    photo = measured.images[0].path.read_bytes()
    int8 = None
    if int8_weights is not None:
        ranges = data.split("train") or images
        int8 = _int8(content, card, measured, places, ranges, int8_weights, photo, steps)
    return Evaluation(
        card=card,
        data=data,
        data_manifest_sha256=data.manifest_sha256,
        part=part,
        measured=measured,
        calibration=calibrate(measured, validation),
        effects=tuple(effects),
        speed=speed(model, card.image_spec, content / WEIGHTS_NAME, photo),
        int8=int8,
    )


def _int8(  # noqa: PLR0913, PLR0917 - what the two models have in common
    content: Path,
    card: ModelCard,
    measured: Predicted,
    places: dict[int, int],
    ranges: tuple[LabelledImage, ...],
    destination: Path,
    photo: bytes,
    steps: Steps,
) -> Int8Offer:
    # onnx is only there where models are trained.
    from model.quantize import quantize  # noqa: PLC0415

    step = max(1, len(ranges) // INT8_CALIBRATION_IMAGES)
    chosen = _pixels(ranges[::step][:INT8_CALIBRATION_IMAGES], card.image_spec)
    if not chosen:
        raise TrainingError("No photo to measure int8's ranges on.", "Give photos that decode.")
    steps.begin("int8", len(measured.images))
    with TemporaryDirectory() as temporary:
        unfinished = Path(temporary) / WEIGHTS_NAME
        quantize(content / WEIGHTS_NAME, unfinished, chosen)
        destination.write_bytes(unfinished.read_bytes())
    model = OnnxModel(destination)
    found = predict(model, card, measured.images, places, steps.advance)
    return Int8Offer(
        weights=destination,
        top1=metrics.top_k(found.probabilities, found.truth, 1),
        loss=metrics.paired_loss(measured.right, found.right),
        speed=speed(model, card.image_spec, destination, photo),
        calibration_images=len(chosen),
    )


def _pixels(images: tuple[LabelledImage, ...], spec: ImageSpec) -> list[npt.NDArray[np.uint8]]:
    outcomes = (load_pixels(image, spec) for image in images)
    return [pixels for pixels in outcomes if not isinstance(pixels, Rejection)]
