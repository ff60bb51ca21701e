"""Pixels travel as the stack says, and as npy to a model that is too old for it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imaging.pixel_encoding import NPY, WEBP, PixelEncoding
from model.serving.webp_batch import decode_webp, read_webp_batch
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.answers import Answer
from pipeline.classify_images import ClassifyImages, Outcome
from pipeline.errors import UnsupportedEncodingError
from pipeline.settings import Settings
from tests.fakes import SPEC, FakeEndpoint, image_ref, jpeg, use_case_over

SHADES = {f"{shade}.jpg": jpeg(shade) for shade in (0, 60, 120, 200)}


class BothEncodings(FakeEndpoint):
    """An endpoint of today: it decodes WebP to the pixels that npy would have carried."""

    def __init__(self) -> None:
        super().__init__()
        self.encodings: list[str] = []
        self.body_bytes: list[int] = []

    def classify(
        self, body: bytes, spec: Any, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        self.encodings.append(encoding.media_type)
        self.body_bytes.append(len(body))
        if encoding is WEBP:
            files = read_webp_batch(body, spec, 10**6)
            body = NPY.pack([image.tobytes() for image in decode_webp(files, spec)], spec)
        return super().classify(body, spec, image_count)


class NpyAlone(BothEncodings):
    """An endpoint with a model that was promoted before WebP."""

    def classify(
        self, body: bytes, spec: Any, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        if encoding is not NPY:
            self.encodings.append(encoding.media_type)
            raise UnsupportedEncodingError("application/x-webp-batch is not among")
        return super().classify(body, spec, image_count, encoding)


def classify(use_case: ClassifyImages) -> list[Outcome]:
    return use_case.run([image_ref(name) for name in SHADES], lambda: False)


def labels(outcomes: list[Outcome]) -> dict[str, str | None]:
    return {
        each.ref.key.removeprefix("incoming/"): each.record.label
        for each in outcomes
        if each.record
    }


EXPECTED = {name: name.removesuffix(".jpg") for name in SHADES}


def test_webp_gives_the_rows_that_npy_gives() -> None:
    for encoding in (NPY, WEBP):
        use_case = use_case_over(dict(SHADES), endpoint=BothEncodings())
        use_case.encoding = encoding
        assert labels(classify(use_case)) == EXPECTED


def test_an_older_model_gets_npy_and_no_image_is_lost() -> None:
    endpoint = NpyAlone()
    use_case = use_case_over(dict(SHADES), endpoint=endpoint)
    use_case.encoding = WEBP
    outcomes = classify(use_case)
    assert labels(outcomes) == EXPECTED
    assert all(each.written for each in outcomes)
    assert endpoint.encodings == [WEBP.media_type, NPY.media_type]


def test_an_older_model_is_remembered() -> None:
    endpoint = NpyAlone()
    use_case = use_case_over(dict(SHADES), endpoint=endpoint)
    use_case.encoding = WEBP
    classify(use_case)
    classify(use_case)
    assert endpoint.encodings == [WEBP.media_type, NPY.media_type, NPY.media_type]


def test_what_fit_as_webp_is_cut_into_requests_again_as_npy() -> None:
    endpoint = NpyAlone()
    use_case = use_case_over(dict(SHADES), endpoint=endpoint, max_images=2)
    use_case.encoding = WEBP
    assert labels(classify(use_case)) == EXPECTED
    assert [count for _, count in endpoint.calls] == [2, 2]


def test_a_request_never_exceeds_the_endpoints_limit() -> None:
    endpoint = BothEncodings()
    use_case = use_case_over(dict(SHADES), endpoint=endpoint)
    use_case.encoding = WEBP
    one = WEBP.pack([WEBP.encode(bytes(SPEC.image_bytes), SPEC)], SPEC)
    use_case.max_payload_bytes = 2 * len(one)
    assert labels(classify(use_case)) == EXPECTED
    assert len(endpoint.body_bytes) > 1
    assert max(endpoint.body_bytes) <= use_case.max_payload_bytes


class Runtime:
    def __init__(self, error: ClientError | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self.error = error

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.error:
            raise self.error
        return {"Body": io.BytesIO(b"[]")}


@pytest.mark.parametrize("encoding", [NPY, WEBP])
def test_the_content_type_names_encoding_and_spec(encoding: PixelEncoding) -> None:
    runtime = Runtime()
    ModelEndpoint(runtime, "dogs").classify(b"", SPEC, 0, encoding)  # type: ignore[arg-type]
    assert runtime.requests[0]["ContentType"] == f"{encoding.media_type}; spec={SPEC.hash}"


def test_an_unsupported_type_is_told_by_its_status() -> None:
    response: Any = {
        "Error": {"Code": "ModelError"},
        "OriginalStatusCode": 415,
        "OriginalMessage": "{}",
    }
    runtime = Runtime(ClientError(response, "InvokeEndpoint"))
    with pytest.raises(UnsupportedEncodingError):
        ModelEndpoint(runtime, "dogs").classify(b"", SPEC, 1, WEBP)  # type: ignore[arg-type]


def test_an_endpoint_that_refuses_npy_is_a_bug() -> None:
    response: Any = {
        "Error": {"Code": "ModelError"},
        "OriginalStatusCode": 415,
        "OriginalMessage": "{}",
    }
    runtime = Runtime(ClientError(response, "InvokeEndpoint"))
    with pytest.raises(ClientError):
        ModelEndpoint(runtime, "dogs").classify(b"", SPEC, 1, NPY)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "encoding"), [("npy", NPY), ("webp", WEBP)])
def test_the_stack_says_which_encoding(name: str, encoding: PixelEncoding) -> None:
    assert Settings({"PIXELS_ENCODING": name}).pixels_encoding is encoding
