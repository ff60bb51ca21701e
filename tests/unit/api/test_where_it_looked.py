"""The default model's map lies on the dog: boxes made by hand on the photos as displayed.

``python -m bench.where_it_looked`` does the same with 20 photos that the repository may not hold.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from bench.where_it_looked import Box, DefaultModel, inside

PHOTOS = Path(__file__).parents[3] / "demo" / "photos"
LEAST = 0.7
PUG: Box = (0.10, 0.47, 0.66, 0.99)
BEAGLES: tuple[Box, ...] = ((0.03, 0.04, 0.31, 0.86), (0.40, 0.11, 0.98, 0.95))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DefaultModel:
    return DefaultModel(tmp_path_factory.mktemp("model") / "default")


@pytest.mark.parametrize(
    ("name", "boxes"),
    [("pug.jpg", (PUG,)), ("pug_sideways.jpg", (PUG,)), ("beagles.jpg", BEAGLES)],
)
def test_the_map_lies_on_the_dogs(model: DefaultModel, name: str, boxes: tuple[Box, ...]) -> None:
    """``pug_sideways.jpg`` is stored turned, so its map is drawn back through the orientation."""
    _, looked = model.looked((PHOTOS / name).read_bytes(), boxes)
    assert looked.inside >= LEAST
    assert looked.inside > looked.covered


@pytest.mark.parametrize("place", [(60, 20), (350, 20), (60, 230), (350, 230)])
def test_the_map_follows_the_dog_over_the_photo(
    model: DefaultModel, place: tuple[int, int]
) -> None:
    with Image.open(PHOTOS / "pug.jpg") as photo:
        sides = (PUG[0] * 1600, PUG[1] * 1200, PUG[2] * 1600, PUG[3] * 1200)
        dog = photo.crop(sides).resize((240, 168))  # type: ignore[arg-type] # floats are rounded
    with Image.open(PHOTOS / "temple.jpg") as opened:
        scene = opened.convert("RGB")
    scene.paste(dog, place)
    file = io.BytesIO()
    scene.save(file, "PNG")
    left, top = place[0] / scene.width, place[1] / scene.height
    box = (left, top, left + dog.width / scene.width, top + dog.height / scene.height)
    label, looked = model.looked(file.getvalue(), [box])
    assert label == "pug"
    # Of a dog on a fifth of the crop 0.66 to 0.78 are inside: a position sees beyond its edges.
    assert looked.inside >= 3 * looked.covered


def test_a_map_that_looks_everywhere_alike_has_the_share_that_the_boxes_cover() -> None:
    crop = {"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0}
    alike = inside([[1.0] * 7] * 7, crop, [(0.5, 0.5, 1, 1)])
    assert alike.inside == pytest.approx(alike.covered)
    assert alike.covered == pytest.approx(0.25, abs=0.01)
    corner = inside([[0.0, 0.0], [0.0, 1.0]], crop, [(0.5, 0.5, 1, 1)])
    assert corner.inside == 1
