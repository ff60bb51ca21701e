"""Judges an archive on a data set: everything that `imagedrop evaluate` reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from archive.card import CARD_NAME, ArchiveError, ModelCard, read_model_card
from archive.reading import WEIGHTS_NAME, sha256_of
from imaging import ImageSpec, Rejection
from model.serving.onnx_model import OnnxModel
from training.data.cache import default_cache
from training.data.check import DoubtfulLabel
from training.data.dataset import DataSet, LabelledImage, load_pixels, spread
from training.data.learned_photos import Acquaintance, acquaintances, read_learned
from training.data.looks import looks_of
from training.errors import TrainingError
from training.evaluation.calibration import Calibration, calibrate, temperature_of_card
from training.evaluation.held_out import JudgedPhotos, photos_to_judge
from training.evaluation.measure import Predicted, classes_in, predict
from training.evaluation.others import OtherThings
from training.evaluation.robustness import ROBUSTNESS_IMAGES, Robustness, robustness
from training.evaluation.rows import PhotoRow, rows_of
from training.evaluation.speed import Speed, speed
from training.statistics import metrics
from training.statistics.intervals import wilson_interval
from training.statistics.spread import CrossValidationSpread

# int8 is recommended below this loss of accuracy, in percentage points.
MAX_INT8_LOSS_POINTS = 0.5
INT8_CALIBRATION_IMAGES = 96


@dataclass(frozen=True, slots=True)
class Int8Offer:
    """The int8 form of the model, measured on the same photos."""

    weights: Path
    top1: float
    loss: metrics.PairedLoss
    speed: Speed
    calibration_images: int

    @property
    def is_recommended(self) -> bool:
        return self.loss.points < MAX_INT8_LOSS_POINTS

    def times_as_fast_as(self, other: Speed) -> float:
        """The ratio of the CPU times in batches."""
        return other.model_batch_cpu_ms / self.speed.model_batch_cpu_ms


@dataclass(frozen=True, slots=True)
class Confusion:
    """The photos of one class that were given another's label, and one of them."""

    true: str
    called: str
    count: int
    example: LabelledImage


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured of one model."""

    card: ModelCard
    data: DataSet
    data_manifest_sha256: str
    judged: JudgedPhotos
    measured: Predicted
    rows: tuple[PhotoRow, ...]
    """Of the measured photos, in their order."""
    calibration: Calibration
    robustness: Robustness
    speed: Speed
    int8: Int8Offer | None
    doubtful: tuple[DoubtfulLabel, ...] = ()
    """By the answers of a training out of fold; empty without them."""
    spread: CrossValidationSpread | None = None
    """Of those answers, where they are of folds."""
    others: OtherThings | None = None
    """Photos of none of the model's classes; None where none were given."""

    @property
    def matrix(self) -> npt.NDArray[np.int64]:
        predicted = self.measured.probabilities.argmax(axis=1)
        return metrics.confusion_matrix(predicted, self.measured.truth, len(self.card.labels))

    def top(self, k: int) -> float:
        return metrics.top_k(self.measured.probabilities, self.measured.truth, k)

    @property
    def confusions(self) -> tuple[Confusion, ...]:
        """All confusions, the most frequent first."""
        matrix = self.matrix
        np.fill_diagonal(matrix, 0)
        found = []
        predicted = self.measured.probabilities.argmax(axis=1)
        for place in np.argsort(-matrix, axis=None, kind="stable")[: np.count_nonzero(matrix)]:
            true, called = np.unravel_index(place, matrix.shape)
            these = (self.measured.truth == true) & (predicted == called)
            example = self.measured.images[int(np.nonzero(these)[0][0])]
            labels = self.card.labels[true], self.card.labels[called]
            found.append(Confusion(*labels, int(matrix[true, called]), example))
        return tuple(found)

    @property
    def top1_interval(self) -> tuple[float, float]:
        right = self.measured.right
        return wilson_interval(int(right.sum()), len(right))

    @property
    def class_scores(self) -> dict[str, metrics.ClassScore]:
        """The scores of the classes that the data have."""
        scores = zip(self.card.labels, metrics.class_scores(self.matrix), strict=True)
        return {label: score for label, score in scores if score.support}

    @property
    def macro_f1(self) -> float:
        return metrics.macro_f1(metrics.class_scores(self.matrix))

    @property
    def leaked(self) -> tuple[PhotoRow, ...]:
        """The measured photos that the model learned from, or chose its epoch by."""
        return tuple(row for row in self.rows if row.knows is not None)

    @property
    def top1_of_new_photos(self) -> float | None:
        """Of the measured photos that are new to the model; None where there are none."""
        new = np.array([row.knows is None for row in self.rows], bool)
        if not new.any():
            return None
        return metrics.top_k(self.measured.probabilities[new], self.measured.truth[new], 1)

    @property
    def measured_on(self) -> str:
        judged = self.judged
        where = f"the part {judged.part}" if judged.part else "all"
        seen = ", which it was trained on" if judged.was_seen else ""
        remark = f" ({judged.remark})" if judged.remark else ""
        name = self.data.folder.resolve().name
        return f"{len(self.measured.truth)} photos, {where} of {name}{seen}{remark}"

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
            "log_loss": float(np.mean([row.loss for row in self.rows])),
            "leaked": [row.path for row in self.leaked],
            "top1_of_new_photos": self.top1_of_new_photos,
            "gated": float(self.measured.gated.mean()),
            "others": None if self.others is None else self.others.to_json(),
            "classes": {label: asdict(each) for label, each in self.class_scores.items()},
            "confusion_matrix": {"labels": list(self.card.labels), "rows": self.matrix.tolist()},
            "photos": [row.to_json() for row in self.rows],
            "confusions": [
                {
                    "true": each.true,
                    "called": each.called,
                    "count": each.count,
                    "example": self.data.name_of(each.example),
                }
                for each in self.confusions
            ],
            "doubtful_labels": [each.to_json(self.data) for each in self.doubtful],
            "spread": None if self.spread is None else asdict(self.spread),
            "calibration": asdict(self.calibration),
            "reliability": [
                asdict(each)
                for each in metrics.reliability(self.measured.probabilities, self.measured.truth)
            ],
            "encodings": [asdict(each) for each in self.robustness.encodings],
            "conditions": [asdict(each) for each in self.robustness.conditions],
            "speed": _speed_json(self.speed),
            "int8": None
            if int8 is None
            else {
                "top1": int8.top1,
                "loss": asdict(int8.loss),
                "speed": _speed_json(int8.speed),
                "calibration_images": int8.calibration_images,
                "recommended": int8.is_recommended,
            },
        }


def _speed_json(speed: Speed) -> dict[str, Any]:
    return asdict(speed) | {"images_per_cpu_second": speed.images_per_cpu_second}


Begin = Callable[[str, int], Callable[[], None]]
"""Called with the name and size of a step; returns what is called after each of its photos."""


def evaluate(  # noqa: PLR0913 - each is one question of the command
    content: Path,
    data: DataSet,
    wanted_part: str | None,
    int8_weights: Path | None,
    begin: Begin,
    *,
    in_conditions: bool = True,
) -> Evaluation:
    """Measures a model on a data set.

    Args:
        content: a folder with the model's `model.onnx` and `model.json`.
        wanted_part: None for the best there is: see `photos_to_judge`.
        int8_weights: where to write the int8 form, which is measured too; None to skip it.
        in_conditions: whether to measure other encodings and conditions, which is most of the work.

    Raises:
        TrainingError: the model lacks a class, or there are too few photos.
        ArchiveError: the card is invalid, or another model's.
        OSError: a file cannot be read.
    """
    card = _checked_card(content)
    places = classes_in(card, data)
    data, digests = data.read()
    manifest_sha256 = data.manifest_of(digests)
    known = _known(content, data, digests)
    judged = photos_to_judge(data, manifest_sha256, card, known, wanted_part)
    if int8_weights is not None and not judged.training:
        raise TrainingError(
            "There are no training photos to measure int8's ranges on; with the judged photos the "
            "result would be too good.",
            "Give a data set with the parts train and test, or leave out --int8.",
        )
    model = OnnxModel(content / WEIGHTS_NAME)
    on_image = begin("measuring", len(judged.images))
    measured = predict(model, card, judged.images, places, on_image)
    validation = None
    if judged.validation:
        on_image = begin("calibrating", len(judged.validation))
        validation = predict(model, card, judged.validation, places, on_image)
    effects = Robustness()
    if in_conditions:
        on_image = begin("conditions", min(ROBUSTNESS_IMAGES, len(measured.images)))
        effects = robustness(model, card, measured, on_image)
    int8 = None
    if int8_weights is not None:
        int8 = _int8(content, card, measured, places, judged.training, int8_weights, begin)
    rows = rows_of(measured, card.labels, data.folder, _known_of(judged, known))
    learned = np.array([row.is_learned for row in rows], bool)
    return Evaluation(
        card=card,
        data=data,
        data_manifest_sha256=manifest_sha256,
        judged=judged,
        measured=measured,
        rows=rows,
        calibration=calibrate(measured, validation, temperature_of_card(card), learned),
        robustness=effects,
        speed=speed(model, card.image_spec, content / WEIGHTS_NAME, measured.images),
        int8=int8,
    )


def _known(
    content: Path, data: DataSet, digests: Mapping[Path, str]
) -> dict[LabelledImage, Acquaintance] | None:
    """How the model's training used the photos of the data; None if the model has no list of
    them."""
    learned = read_learned(content)
    if learned is None:
        return None
    own = [digests[image.path] for image in data.images]
    found = acquaintances(own, looks_of(data.images, own, default_cache()), learned)
    return {image: how for image, how in zip(data.images, found, strict=True) if how}


def _known_of(
    judged: JudgedPhotos, known: Mapping[LabelledImage, Acquaintance] | None
) -> Mapping[LabelledImage, Acquaintance]:
    """Without a list the model was trained on all of the photos to measure, or on none."""
    if known is None:
        learned = Acquaintance("train", is_same_file=True)
        return dict.fromkeys(judged.images, learned) if judged.was_seen else {}
    return known


def _checked_card(content: Path) -> ModelCard:
    card = read_model_card(content / CARD_NAME)
    if sha256_of(content / WEIGHTS_NAME) != card.weights_sha256:
        raise ArchiveError(f"{WEIGHTS_NAME} is not the file that {CARD_NAME} describes")
    return card


def _int8(  # noqa: PLR0913, PLR0917 - shared with the first model
    content: Path,
    card: ModelCard,
    measured: Predicted,
    places: dict[int, int],
    ranges: tuple[LabelledImage, ...],
    destination: Path,
    begin: Begin,
) -> Int8Offer:
    # onnx is installed only where models are trained.
    from model.quantize import quantize  # noqa: PLC0415

    chosen = _pixels(spread(ranges, INT8_CALIBRATION_IMAGES), card.image_spec)
    if not chosen:
        raise TrainingError(
            "No photo to measure int8's ranges on.", "Give photos that can be decoded."
        )
    on_image = begin("int8", len(measured.images))
    with TemporaryDirectory() as temporary:
        unfinished = Path(temporary) / WEIGHTS_NAME
        quantize(content / WEIGHTS_NAME, unfinished, chosen)
        destination.write_bytes(unfinished.read_bytes())
    model = OnnxModel(destination)
    found = predict(model, card, measured.images, places, on_image)
    return Int8Offer(
        weights=destination,
        top1=metrics.top_k(found.probabilities, found.truth, 1),
        loss=metrics.paired_loss(measured.right, found.right),
        speed=speed(model, card.image_spec, destination, measured.images),
        calibration_images=len(chosen),
    )


def _pixels(images: tuple[LabelledImage, ...], spec: ImageSpec) -> list[npt.NDArray[np.uint8]]:
    outcomes = (load_pixels(image, spec) for image in images)
    return [pixels for pixels in outcomes if not isinstance(pixels, Rejection)]
