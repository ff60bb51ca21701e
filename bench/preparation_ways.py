"""Ways to make a model's 224 x 224 pixels of a JPEG, each as its documentation suggests.

``bench.preparations`` runs this in a fresh process for each way and round, in the way's own
environment: so each library is imported where it is used.

    python -m bench.preparation_ways WAY FILE ROUNDS PIXELS

It prints the CPU milliseconds of each round as JSON, and writes the pixels, uint8 RGB, to PIXELS.
"""

# ruff: noqa: PLC0415 - a way's libraries are there in its own environment only
from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

SIZE, SHORTER_SIDE = 224, 256
Way = Callable[[bytes], bytes]


def ours() -> Way:
    from imaging import ImageSpec, Prepared, prepare

    levels = (127.0, 127.0, 127.0)
    spec = ImageSpec(SIZE, SHORTER_SIDE, "center", "bilinear", levels, levels, "NHWC")

    def run(data: bytes) -> bytes:
        outcome = prepare(data, spec)
        assert isinstance(outcome, Prepared)
        return outcome.pixels

    return run


def torchvision() -> Way:
    """The transforms of a classification script, on PIL images: the reference."""
    from PIL import Image, ImageOps
    from torchvision.transforms import CenterCrop, Compose, Resize  # type: ignore[import-untyped]

    transforms = Compose([Resize(SHORTER_SIDE), CenterCrop(SIZE)])

    def run(data: bytes) -> bytes:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        cropped: Image.Image = transforms(image)
        return cropped.tobytes()

    return run


def torchvision_v2() -> Way:
    """decode_image and transforms v2 on tensors."""
    import torch
    from torchvision.io import ImageReadMode, decode_image  # type: ignore[import-untyped]
    from torchvision.transforms import v2  # type: ignore[import-untyped]

    torch.set_num_threads(1)
    transforms = v2.Compose([v2.Resize(SHORTER_SIDE, antialias=True), v2.CenterCrop(SIZE)])

    def run(data: bytes) -> bytes:
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        image = decode_image(encoded, ImageReadMode.RGB, apply_exif_orientation=True)
        pixels: bytes = transforms(image).permute(1, 2, 0).contiguous().numpy().tobytes()
        return pixels

    return run


def pillow() -> Way:
    """Image.resize of the whole picture."""
    from PIL import Image, ImageOps

    def run(data: bytes) -> bytes:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        return _centre(image.resize(_shorter_side(image.size), Image.Resampling.BILINEAR))

    return run


def pillow_draft(times: int = 1) -> Way:
    """Image.thumbnail's way: JPEG's own scaling first, to so many times the side or more."""
    from PIL import Image, ImageOps

    def run(data: bytes) -> bytes:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (times * SHORTER_SIDE, times * SHORTER_SIDE))
        upright = ImageOps.exif_transpose(image).convert("RGB")
        return _centre(upright.resize(_shorter_side(upright.size), Image.Resampling.BILINEAR))

    return run


def opencv() -> Way:
    import cv2  # type: ignore[import-not-found]

    cv2.setNumThreads(1)

    def run(data: bytes) -> bytes:
        import numpy as np

        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        height, width = image.shape[:2]
        resized = cv2.resize(image, _shorter_side((width, height)), interpolation=cv2.INTER_AREA)
        pixels: bytes = cv2.cvtColor(_centre_array(resized), cv2.COLOR_BGR2RGB).tobytes()
        return pixels

    return run


def pyvips() -> Way:
    import os

    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips as vips  # type: ignore[import-not-found]

    def run(data: bytes) -> bytes:
        image = vips.Image.thumbnail_buffer(
            data, SHORTER_SIDE, height=10_000_000, size="both", no_rotate=False
        )
        if image.height < SHORTER_SIDE:
            image = vips.Image.thumbnail_buffer(data, 10_000_000, height=SHORTER_SIDE)
        left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
        pixels: bytes = image.crop(left, top, SIZE, SIZE).write_to_memory()
        return pixels

    return run


def simplejpeg(times: int = 1) -> Way:
    """libjpeg-turbo's scaled decoding, to so many times the side or more, then Pillow's resize."""
    import simplejpeg as jpeg  # type: ignore[import-not-found]
    from PIL import Image

    def run(data: bytes) -> bytes:
        least = times * SHORTER_SIDE
        pixels = jpeg.decode_jpeg(data, min_height=least, min_width=least)
        image = Image.fromarray(pixels)
        return _centre(image.resize(_shorter_side(image.size), Image.Resampling.BILINEAR))

    return run


def _shorter_side(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    shorter = min(width, height)
    return SHORTER_SIDE * width // shorter, SHORTER_SIDE * height // shorter


def _centre(image: object) -> bytes:
    from PIL import Image

    assert isinstance(image, Image.Image)
    left, top = round((image.width - SIZE) / 2), round((image.height - SIZE) / 2)
    return image.crop((left, top, left + SIZE, top + SIZE)).tobytes()


def _centre_array(image: object) -> object:
    height, width = image.shape[:2]  # type: ignore[attr-defined]
    top, left = round((height - SIZE) / 2), round((width - SIZE) / 2)
    return image[top : top + SIZE, left : left + SIZE]  # type: ignore[index]


WAYS: dict[str, Callable[[], Way]] = {
    "ours": ours,
    "torchvision": torchvision,
    "torchvision v2": torchvision_v2,
    "Pillow": pillow,
    "Pillow draft": pillow_draft,
    "Pillow draft, twice": partial(pillow_draft, times=2),  # the scale that ours decodes at
    "OpenCV": opencv,
    "pyvips": pyvips,
    "simplejpeg": simplejpeg,
    "simplejpeg, twice": partial(simplejpeg, times=2),
}


def main(name: str, file: str, rounds: str, pixels: str) -> None:
    data, run = Path(file).read_bytes(), WAYS[name]()
    Path(pixels).write_bytes(run(data))  # also warms up
    milliseconds = []
    for _ in range(int(rounds)):
        before = time.process_time()
        run(data)
        milliseconds.append(1000 * (time.process_time() - before))
    print(json.dumps(milliseconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
