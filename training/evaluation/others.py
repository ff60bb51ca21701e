"""Photos of other things: how many of them get a label, as the endpoint would answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archive.card import ModelCard
from model.serving.answers import answer_body
from model.serving.onnx_model import OnnxModel
from training.data.dataset import LabelledImage
from training.errors import TrainingError
from training.evaluation.measure import batches
from training.statistics.intervals import wilson_interval


@dataclass(frozen=True, slots=True)
class NamedThing:
    """A photo of something else that got one of the model's labels."""

    image: LabelledImage
    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class OtherThings:
    """A model's answers to photos of none of its classes.

    Attributes:
        photos: how many could be prepared.
        rejected: path and reason of each file that could not.
    """

    folder: Path
    photos: int
    named: tuple[NamedThing, ...]
    rejected: tuple[str, ...]

    @property
    def share(self) -> float:
        return len(self.named) / self.photos

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(len(self.named), self.photos)

    def name_of(self, image: LabelledImage) -> str:
        return image.path.relative_to(self.folder).as_posix()

    def to_json(self) -> dict[str, Any]:
        return {
            "photos": self.photos,
            "named": self.share,
            "named_interval": list(self.interval),
            "named_photos": [
                {
                    "path": self.name_of(each.image),
                    "label": each.label,
                    "confidence": each.confidence,
                }
                for each in self.named
            ],
            "rejected": list(self.rejected),
        }


def photos_of_others(folder: Path) -> tuple[LabelledImage, ...]:
    """All files in the folder and below it, except hidden ones; their class does not matter.

    Raises:
        TrainingError: there are none.
    """
    found = tuple(
        LabelledImage(path, 0, None)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise TrainingError(
            f"There are no photos in {folder}.", "Give a folder with photos of other things."
        )
    return found


def judge_others(
    model: OnnxModel, card: ModelCard, folder: Path, on_image: Callable[[], None]
) -> OtherThings:
    """Answers every photo in the folder; a photo counts if its label is one of the model's.

    Raises:
        TrainingError: there is no photo that can be prepared.
    """
    images: list[LabelledImage] = []
    rejected: list[str] = []
    answers: list[dict[str, Any]] = []
    wanted = photos_of_others(folder)
    for batch in batches(wanted, card.image_spec, images, rejected, on_image):
        answers += json.loads(answer_body(model.run(batch), card))
    if not images:
        raise TrainingError(
            f"No photo in {folder} can be prepared: {rejected[0]}.", "Give photos that decode."
        )
    return OtherThings(
        folder=folder,
        photos=len(images),
        named=tuple(
            NamedThing(image, answer["label"], answer["confidence"])
            for image, answer in zip(images, answers, strict=True)
            if answer["label"] in card.labels
        ),
        rejected=tuple(rejected),
    )
