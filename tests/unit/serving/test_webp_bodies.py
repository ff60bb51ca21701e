"""WebP batches carry pixels to the endpoint without changing one, and nothing else is accepted."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archive.reading import check_archive
from imaging import ImageSpec, Prepared, encode_npy, prepare
from imaging.webp_batch import encode_webp, pack_webp
from model.package import DEFAULT_ARCHIVE
from model.serving.app import Limits
from model.serving.requests import RefusalError
from model.serving.webp_batch import decode_webp, read_webp_batch
from tests.bombs import bombs
from tests.unit.serving.asgi_client import ask
from tests.unit.serving.tiny_model import SPEC
from tools.paths import PROJECT

WEBP = f"application/x-webp-batch; spec={SPEC.hash}"
NPY = f"application/x-npy; spec={SPEC.hash}"
LIMIT = 20 * 1024 * 1024


def pixels(count: int = 3, spec: ImageSpec = SPEC) -> list[bytes]:
    shape = (count, spec.size, spec.size, 3)
    noise = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    return [image.tobytes() for image in noise]


def webp(image: bytes, spec: ImageSpec = SPEC) -> bytes:
    return encode_webp(image, spec)


def body(*files: bytes) -> bytes:
    return pack_webp(files)


def arrived(images: list[bytes], spec: ImageSpec) -> list[bytes]:
    """The images as the model sees them."""
    files = read_webp_batch(body(*(webp(image, spec) for image in images)), spec, LIMIT)
    return [image.tobytes() for image in decode_webp(files, spec)]


def saved(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


def test_photos_arrive_with_every_pixel_as_it_was() -> None:
    spec = check_archive(DEFAULT_ARCHIVE).card.image_spec
    photos = sorted((PROJECT / "demo" / "photos").iterdir())
    outcomes = [prepare(photo.read_bytes(), spec) for photo in photos]
    prepared = [each.pixels for each in outcomes if isinstance(each, Prepared)]
    assert len(prepared) >= 10
    assert arrived(prepared, spec) == prepared


@pytest.mark.parametrize("size", [1, 2, 7, 8, 33, 224])
def test_noise_gradients_and_plain_colours_arrive_with_every_pixel_as_it_was(size: int) -> None:
    spec = replace(SPEC, size=size, resize=size)
    ramp = np.arange(size * size * 3, dtype=np.uint32).astype(np.uint8).tobytes()
    plain = [bytes([shade]) * spec.image_bytes for shade in (0, 1, 127, 254, 255)]
    images = [*pixels(20, spec), ramp, *plain]
    assert arrived(images, spec) == images


def test_the_endpoint_answers_both_encodings_alike(archive: Path) -> None:
    images = pixels()
    as_webp = body(*map(webp, images))
    as_npy = encode_npy(images, SPEC)
    answers = [
        ask(archive, "POST", "/invocations", content_type=content_type, body=each)
        for content_type, each in ((WEBP, as_webp), (NPY, as_npy))
    ]
    assert [each.status for each in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert len(answers[0].json()) == 3


def test_webp_of_another_spec_is_refused_as_npy_is(archive: Path) -> None:
    other = WEBP.replace(SPEC.hash, "0" * 16)
    answer = ask(archive, "POST", "/invocations", content_type=other, body=body(webp(pixels()[0])))
    assert (answer.status, answer.error_code) == (409, "spec_mismatch")


GOOD = webp(pixels()[0])


def changed(offset: int, value: bytes) -> bytes:
    return GOOD[:offset] + value + GOOD[offset + len(value) :]


@pytest.mark.parametrize(
    ("hostile", "complaint"),
    [
        pytest.param(lambda: b"", "cut off", id="empty"),
        pytest.param(lambda: bytes(4), "no images", id="no images"),
        pytest.param(lambda: body(GOOD)[:6], "cut off", id="cut in the header"),
        pytest.param(lambda: body(GOOD)[:-1], "announced", id="cut"),
        pytest.param(lambda: body(GOOD) + b"x", "announced", id="bytes after the end"),
        pytest.param(lambda: body(b""), "not one lossless", id="an empty file"),
        pytest.param(lambda: body(GOOD, b"RIFF"), "not one lossless", id="a short file"),
        pytest.param(
            lambda: body(saved(Image.new("RGB", (8, 8)), quality=80)),
            "not one lossless",
            id="lossy",
        ),
        pytest.param(
            lambda: body(saved(Image.new("RGB", (8, 8)), lossless=True, exif=b"Exif\0\0secret")),
            "not one lossless",
            id="with metadata",
        ),
        pytest.param(
            lambda: body(
                saved(
                    Image.new("RGB", (8, 8)),
                    lossless=True,
                    save_all=True,
                    append_images=[Image.new("RGB", (8, 8), "red")],
                )
            ),
            "not one lossless",
            id="an animation",
        ),
        pytest.param(
            lambda: body(saved(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), lossless=True)),
            "transparency",
            id="transparent",
        ),
        pytest.param(
            lambda: body(saved(Image.new("RGB", (9, 8)), lossless=True)), "9 x 8", id="another size"
        ),
        pytest.param(
            # Sides less one, 14 bits each: what follows is never decoded.
            lambda: body(changed(21, (16382 | 16382 << 14).to_bytes(4, "little"))),
            "16383 x 16383",
            id="a decompression bomb",
        ),
        pytest.param(lambda: body(changed(4, b"\xff")), "length", id="RIFF of another length"),
        pytest.param(lambda: body(changed(16, b"\xff")), "length", id="chunk of another length"),
        pytest.param(lambda: body(changed(24, b"\xe0")), "version", id="of another version"),
        pytest.param(
            lambda: body(changed(25, bytes(len(GOOD) - 25))), "be decoded", id="damaged pixels"
        ),
    ],
)
def test_what_is_not_lossless_webp_of_the_size_is_refused(
    hostile: Callable[[], bytes], complaint: str
) -> None:
    with pytest.raises(RefusalError, match=complaint) as refusal:
        decode_webp(read_webp_batch(hostile(), SPEC, LIMIT), SPEC)
    assert (refusal.value.status, refusal.value.code) == (400, "malformed_webp_batch")


def test_many_tiny_files_do_not_become_more_pixels_than_a_body_may_hold(archive: Path) -> None:
    plain = webp(bytes(SPEC.image_bytes))
    limits = Limits(body_bytes=100 * len(plain), in_flight_bytes=1024 * 1024)
    count = limits.body_bytes // SPEC.image_bytes + 1
    answer = ask(
        archive,
        "POST",
        "/invocations",
        limits=limits,
        content_type=WEBP,
        body=body(*[plain] * count),
    )
    assert (answer.status, answer.error_code) == (413, "too_large")


def test_a_count_that_announces_more_than_memory_is_refused_before_anything_is_read() -> None:
    with pytest.raises(RefusalError) as refusal:
        read_webp_batch(b"\xff\xff\xff\xff", SPEC, LIMIT)
    assert refusal.value.status == 413


def test_bombs_in_a_batch_are_refused() -> None:
    for name, bomb in bombs():
        with pytest.raises(RefusalError) as refusal:
            decode_webp(read_webp_batch(body(GOOD, bomb), SPEC, LIMIT), SPEC)
        assert refusal.value.status == 400, name


def test_pixels_of_another_size_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="asks for 192"):
        encode_webp(bytes(191), SPEC)
