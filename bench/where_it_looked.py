"""How much of the default model's map is on the dog: the boxes were made by hand.

    python -m bench.where_it_looked --photos FOLDER

The folder has photos of the Udacity dog data set by their names there. Prints the share of the
map's mass inside the dog's box, and the box's share of the model's crop, which a uniform map would
have.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from api.explanations import box_on_photo, shares
from archive.reading import WEIGHTS_NAME, extract_archive
from imaging import Rejection, prepare
from model.package import DEFAULT_ARCHIVE
from model.serving.explainer import Explainer
from model.serving.onnx_model import OnnxModel
from pipeline.answers import parse_explanation

# Left, top, right, bottom, in shares of the sides of the photo as it is displayed.
Box = tuple[float, float, float, float]
BOXES: dict[str, tuple[Box, ...]] = {
    "Basenji_00963": ((0.14, 0.04, 0.88, 0.96),),
    "Beagle_01125": ((0.09, 0.25, 0.84, 0.74),),
    "Beagle_01141": ((0.22, 0.04, 0.99, 0.90),),
    "Boston_terrier_02303": ((0.24, 0.03, 0.75, 0.99),),
    "Boxer_02426": ((0.11, 0.03, 0.89, 1),),
    "Collie_03797": ((0.01, 0.03, 1, 1),),
    "Dalmatian_04017": ((0.25, 0.05, 0.81, 0.96),),
    "Dalmatian_04037": ((0.21, 0.06, 0.66, 0.94),),
    "Dalmatian_04068": ((0.23, 0.07, 0.80, 1),),
    "German_shepherd_dog_04931": ((0.02, 0.03, 0.93, 1),),
    "German_shorthaired_pointer_04986": ((0.13, 0.13, 0.89, 1),),
    "Golden_retriever_05182": ((0.02, 0.02, 0.94, 0.97),),
    "Golden_retriever_05195": ((0.20, 0.18, 0.89, 0.72),),
    "Golden_retriever_05257": ((0.34, 0.03, 0.85, 0.83),),
    "Great_pyrenees_05435": ((0.26, 0.45, 0.72, 0.96),),
    "Labrador_retriever_06455": ((0, 0.11, 0.81, 0.95),),
    "Labrador_retriever_06457": ((0.11, 0.04, 0.88, 0.97),),
    "Poodle_07927": ((0.12, 0.04, 0.91, 1),),
    "Saint_bernard_08010": ((0, 0.04, 1, 1),),
    "Welsh_springer_spaniel_08203": ((0.06, 0.05, 1, 1),),
}
GRID = 400  # points a side at which a map is compared with the boxes


@dataclass(frozen=True, slots=True)
class Looked:
    """Shares 0..1: of the map's mass inside the boxes, and of the crop that the boxes cover."""

    inside: float
    covered: float


def inside(
    positions: Sequence[Sequence[float]], crop: Mapping[str, float], boxes: Sequence[Box]
) -> Looked:
    """Compares a map with boxes on the photo.

    Args:
        positions: rows of the map, from the top of the crop.
        crop: the crop on the photo, as the API answers it.
    """
    steps = np.arange(GRID)
    across = crop["x"] + (steps + 0.5) / GRID * crop["width"]
    down = crop["y"] + (steps + 0.5) / GRID * crop["height"]
    covered = np.zeros((GRID, GRID), bool)
    for left, top, right, bottom in boxes:
        rows, columns = (down >= top) & (down < bottom), (across >= left) & (across < right)
        covered |= rows[:, None] & columns
    mass = np.asarray(positions)
    mass = mass[steps * mass.shape[0] // GRID][:, steps * mass.shape[1] // GRID]
    return Looked(float((mass * covered).sum() / mass.sum()), float(covered.mean()))


class DefaultModel:
    """The default model, and how the API draws its maps."""

    def __init__(self, folder: Path) -> None:
        self.card = extract_archive(DEFAULT_ARCHIVE, folder)
        self._model = OnnxModel(folder / WEIGHTS_NAME)
        self._explainer = Explainer(folder / WEIGHTS_NAME, self.card)

    def looked(self, photo: bytes, boxes: Sequence[Box]) -> tuple[str, Looked]:
        """Returns the likeliest label of a photo, and where the model looked for it."""
        spec = self.card.image_spec
        prepared = prepare(photo, spec)
        if isinstance(prepared, Rejection):
            raise SystemExit(f"a photo was rejected: {prepared.reason}")
        images = np.frombuffer(prepared.pixels, np.uint8).reshape(1, spec.size, spec.size, 3)
        label = self.card.labels[int(self._model.run(images).probabilities[0].argmax())]
        found = parse_explanation(self._explainer.answer(images, label))
        crop = box_on_photo(prepared.width, prepared.height, spec)
        return label, inside(shares(found.positions), crop, boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    folder = parser.parse_args().photos
    found = []
    with tempfile.TemporaryDirectory() as archive:
        model = DefaultModel(Path(archive) / "model")
        for name, boxes in BOXES.items():
            label, looked = model.looked((folder / f"{name}.jpg").read_bytes(), boxes)
            found.append(looked)
            print(f"{name:33} {label:28} {looked.inside:.3f} inside, {looked.covered:.3f} covered")
    shares_inside = np.array([each.inside for each in found])
    print(
        f"{len(found)} photos: mean {shares_inside.mean():.3f}, median "
        f"{np.median(shares_inside):.3f}, least {shares_inside.min():.3f} inside; the boxes cover "
        f"{np.mean([each.covered for each in found]):.3f} of the crops"
    )


if __name__ == "__main__":
    main()
