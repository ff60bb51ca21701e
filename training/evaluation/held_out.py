"""Chooses the photos to judge a model on: those that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archive.card import ModelCard
from imaging import Rejection
from training.data.dataset import DataSet, LabelledImage, load_pixels
from training.data.learned_photos import Acquaintance
from training.data.partition import partition
from training.errors import TrainingError

# In order of preference.
PARTS = ("test", "valid", "train")

Known = Mapping[LabelledImage, Acquaintance]


@dataclass(frozen=True, slots=True)
class JudgedPhotos:
    """The photos to measure, and others to fit on.

    Attributes:
        images: the photos to measure.
        part: their part; None for all of a data set without parts.
        validation: other photos to fit a temperature on; may be empty.
        training: other photos to measure int8's ranges on; may be empty.
        was_seen: whether the model was trained on all the photos to measure.
        remark: a caveat for the reader; may be empty.
    """

    images: tuple[LabelledImage, ...]
    part: str | None
    validation: tuple[LabelledImage, ...]
    training: tuple[LabelledImage, ...]
    was_seen: bool
    remark: str


def photos_to_judge(
    data: DataSet,
    manifest_sha256: str,
    card: ModelCard,
    known: Known | None,
    wanted: str | None,
) -> JudgedPhotos:
    """Chooses the wanted part, or the best there is: test, then valid, then train.

    If this model was trained on this data set, and the data set has no parts, the choice is
    the validation photos of that training.

    Args:
        known: how the model knows photos of this data set; None for a model that kept no list:
            then only the hash of the whole data set tells.

    Raises:
        TrainingError: the wanted part does not exist.
        OSError: a photo cannot be read.
    """
    trained_here = card.training_run.get("data_manifest_sha256") == manifest_sha256
    there = {image.split for image in data.images}
    if there <= {None}:
        if trained_here and not _folds(card) and wanted in (None, "valid"):
            return _kept_back(data, card, known)
        if wanted is None:
            seen = trained_here if known is None else _all_learned(data.images, known)
            return JudgedPhotos(data.images, None, (), (), seen, "")
    if wanted is not None and wanted not in there:
        raise TrainingError(
            f"{data.folder} has no part {wanted}.", "Make parts with: imagedrop data split."
        )
    part = wanted or next(each for each in PARTS if each in there)
    return _of_part(data, part, known, card, trained_here=trained_here)


def _of_part(
    data: DataSet, part: str, known: Known | None, card: ModelCard, *, trained_here: bool
) -> JudgedPhotos:
    # With folds, the final training uses everything but the part test, and chooses no epoch.
    learnt = {"train", "valid"} if _folds(card) else {"train"}
    chose = trained_here and part == "valid" and "valid" not in learnt
    images = data.split(part)
    if known is None:
        validation = () if trained_here and "valid" in learnt else data.split("valid")
        was_seen = trained_here and part in learnt
    else:
        validation = tuple(each for each in data.split("valid") if not _learned(each, known))
        was_seen = _all_learned(images, known)
    return JudgedPhotos(
        images=images,
        part=part,
        validation=validation if part == "test" else (),
        training=() if part == "train" else data.split("train"),
        was_seen=was_seen,
        remark="training chose its epoch by them" if chose else "",
    )


def _learned(image: LabelledImage, known: Known) -> bool:
    return image in known and known[image].use == "train"


def _all_learned(images: tuple[LabelledImage, ...], known: Known) -> bool:
    return all(_learned(image, known) for image in images)


def _kept_back(data: DataSet, card: ModelCard, known: Known | None) -> JudgedPhotos:
    training, valid = _uses(data, card, known)
    if not valid:
        return JudgedPhotos(data.images, None, (), (), was_seen=True, remark="")
    return JudgedPhotos(
        images=valid,
        part="valid",
        validation=(),
        training=training,
        was_seen=False,
        remark="the validation photos of its training, which chose its epoch by them",
    )


def _uses(
    data: DataSet, card: ModelCard, known: Known | None
) -> tuple[tuple[LabelledImage, ...], tuple[LabelledImage, ...]]:
    """The photos that the training learned from, and those that chose its epoch."""
    if known is not None:
        training = tuple(each for each in data.images if _learned(each, known))
        valid = (each for each in data.images if each in known and known[each].use == "valid")
        return training, tuple(valid)
    # The split of a model without a list follows from the photos and the card's seed.
    usable = _usable(data, card)
    parts = partition(usable, _seed(card))
    return tuple(usable[at] for at in parts.train), tuple(usable[at] for at in parts.valid)


def _usable(data: DataSet, card: ModelCard) -> tuple[LabelledImage, ...]:
    """The photos that training could prepare; it split only those."""
    if card.training_run.get("images_left_out") == 0:
        return data.images
    spec = card.image_spec
    return tuple(
        image for image in data.images if not isinstance(load_pixels(image, spec), Rejection)
    )


def _folds(card: ModelCard) -> int:
    folds = _hyperparameters(card).get("folds", 0)
    return folds if isinstance(folds, int) else 0


def _seed(card: ModelCard) -> int:
    seed = _hyperparameters(card).get("seed", 1)
    return seed if isinstance(seed, int) else 1


def _hyperparameters(card: ModelCard) -> Mapping[str, object]:
    found = card.training_run.get("hyperparameters")
    return found if isinstance(found, Mapping) else {}
