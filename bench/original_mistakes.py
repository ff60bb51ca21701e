"""Measures mistakes in preparing photos: python -m bench.original_mistakes --data PHOTOS.

The default model classifies the same photos prepared as they should be, and with one mistake of the
course project at a time: squashed to a square, not normalised, and from files that end in the
middle of their pixels. Folders of breeds that the default model does not know are left out.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from archive.reading import WEIGHTS_NAME, extract_archive
from imaging import ImageSpec, Rejection
from model.package import DEFAULT_ARCHIVE
from model.serving.onnx_model import OnnxModel
from training.data.dataset import DataSet, LabelledImage, load_pixels
from training.evaluation.encodings import upright
from training.evaluation.measure import label_places

Pixels = npt.NDArray[np.uint8]
Prepare = Callable[[LabelledImage, ImageSpec], Pixels]


def as_it_should_be(image: LabelledImage, spec: ImageSpec) -> Pixels:
    """The pixels that a training and the endpoint see."""
    pixels = load_pixels(image, spec)
    if isinstance(pixels, Rejection):
        raise SystemExit(f"{image.path}: {pixels.reason}")
    return pixels


def squashed(image: LabelledImage, spec: ImageSpec) -> Pixels:
    """The whole photo, its sides made equal: Resize((224, 224))."""
    picture = upright(image.path.read_bytes())
    return np.asarray(picture.resize((spec.size, spec.size), Image.Resampling.BICUBIC))


def not_normalised(image: LabelledImage, spec: ImageSpec) -> Pixels:
    """The graph normalises; these pixels arrive behind it as ToTensor() leaves them, 0 to 1."""
    shares = as_it_should_be(image, spec).astype(np.float64) / 255
    return np.rint(shares * spec.std + spec.mean).clip(0, 255).astype(np.uint8)


def cut_half_way(image: LabelledImage, spec: ImageSpec) -> Pixels:
    """LOAD_TRUNCATED_IMAGES: missing parts of a JPEG's last scan are grey."""
    content = image.path.read_bytes()
    start = max(content.rfind(b"\xff\xda"), 0)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        picture = upright(content[: (start + len(content)) // 2])
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "half.png"
        file.write_bytes(buffer.getvalue())
        return as_it_should_be(replace(image, path=file), spec)


WAYS: tuple[Prepare, ...] = (as_it_should_be, squashed, not_normalised, cut_half_way)


def main() -> None:
    """Prints the accuracy of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data = DataSet.scan(parser.parse_args().data)
    with TemporaryDirectory() as folder:
        content = Path(folder) / "content"
        card = extract_archive(DEFAULT_ARCHIVE, content)
        model = OnnxModel(content / WEIGHTS_NAME)
        places = label_places(card.labels, data.classes, card.names)
        images = [each for each in data.images if data.label(each) in places]
        truth = np.array([places[data.label(each)] for each in images])
        print(f"{len(images)} photos of {len(places)} classes")
        for prepare in WAYS:
            rows = [model.run(prepare(each, card.image_spec)[None]) for each in images]
            probabilities = np.concatenate([each.probabilities for each in rows])
            right = float((probabilities.argmax(axis=1) == truth).mean())
            sure = float(probabilities.max(axis=1).mean())
            print(f"{prepare.__name__:16} top-1 {right:.3f}, mean confidence {sure:.3f}")


if __name__ == "__main__":
    main()
