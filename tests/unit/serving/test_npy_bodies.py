"""The npy reader takes one kind of array and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest

from imaging import encode_npy
from model.serving.npy import read_images
from model.serving.requests import RefusalError
from tests.unit.serving.tiny_model import SPEC

SHAPE = (2, SPEC.size, SPEC.size, 3)


def saved(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def npy_with_header(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def test_what_numpy_saves_is_read_without_a_copy() -> None:
    images = pixels(*SHAPE)
    body = bytearray(saved(images))
    read = read_images(body, SPEC)
    assert np.array_equal(read, images)
    assert np.shares_memory(read, np.frombuffer(body, dtype=np.uint8))


def test_what_the_pipeline_packs_is_read() -> None:
    images = pixels(*SHAPE)
    body = encode_npy([image.tobytes() for image in images], SPEC)
    assert np.array_equal(read_images(body, SPEC), images)


def test_version_2_headers_are_read() -> None:
    images = pixels(*SHAPE)
    file = io.BytesIO()
    np.lib.format.write_array(file, images, version=(2, 0))
    assert np.array_equal(read_images(file.getvalue(), SPEC), images)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(b"", "does not begin", id="empty"),
        pytest.param(b"\xff\xd8\xff\xe0JFIF", "does not begin", id="a JPEG"),
        pytest.param(saved(pixels(*SHAPE))[:9], "cut off", id="cut in the header's length"),
        pytest.param(saved(pixels(*SHAPE))[:60], "cut off", id="cut in the header"),
        pytest.param(saved(pixels(*SHAPE))[:-1], "sent", id="one byte short"),
        pytest.param(saved(pixels(*SHAPE)) + b"\0", "sent", id="one byte long"),
        pytest.param(saved(np.zeros(SHAPE, dtype=np.float32)), "uint8, not <f4", id="float32"),
        pytest.param(saved(np.zeros(SHAPE, dtype=np.int8)), "uint8, not |i1", id="int8"),
        pytest.param(saved(np.asfortranarray(pixels(*SHAPE))), "C order", id="Fortran order"),
        pytest.param(saved(pixels(0, *SHAPE[1:])), "shape", id="no images"),
        pytest.param(saved(pixels(*SHAPE[1:])), "shape", id="an image without a batch"),
        pytest.param(saved(pixels(2, 3, SPEC.size, SPEC.size)), "shape", id="channels first"),
        pytest.param(saved(pixels(2, 9, 9, 3)), "shape", id="another size"),
        pytest.param(
            saved(np.array([{"a": 1}], dtype=object), allow_pickle=True),
            "header|uint8",
            id="pickle",
        ),
        pytest.param(
            npy_with_header("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }"),
            "header",
            id="code in the header",
        ),
        pytest.param(npy_with_header("(" * 1000), "header", id="nested header"),
        pytest.param(npy_with_header(" " * 5000), "too long", id="huge header"),
        pytest.param(
            npy_with_header(
                "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 70 + ", 8, 8, 3), }"
            ),
            "not readable",
            id="astronomic shape",
        ),
        pytest.param(
            npy_with_header(
                "{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 8, 8, 3), }"
            ),
            "announced",
            id="more images than bytes",
        ),
        pytest.param(
            npy_with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1 2, 8, 8, 3), }"),
            "not readable",
            id="no comma",
        ),
        pytest.param(b"\x93NUMPY\x09\x00" + b"\0" * 200, "version", id="unknown version"),
    ],
)
def test_anything_else_is_refused_with_its_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(RefusalError, match=complaint) as refused:
        read_images(body, SPEC)
    assert (refused.value.status, refused.value.code) == (400, "malformed_npy")
