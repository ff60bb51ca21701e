"""Where the model looked, through the API: exactly the row's version and model, drawn back."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from PIL import Image

from api.answers import ApiProblem
from api.explanations import Explanations, box_on_photo, shares
from imaging import ImageSpec, Prepared, Rejection, RejectReason, prepare
from imaging.preparation import turned
from pipeline import records
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.answers import Explanation, InvalidAnswerError, parse_explanation
from pipeline.errors import NoExplanationError, SpecMismatchError, TransientError
from pipeline.events import ImageRef
from tests.fakes import SPEC, jpeg
from tests.tables import classified, image_ref

RECORD = classified(image_ref())
OTHER_SPEC = replace(SPEC, resize=16)


@dataclass
class Images:
    found: bytes | Rejection | None = field(default_factory=jpeg)
    asked: list[ImageRef] = field(default_factory=list)

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        self.asked.append(ref)
        return self.found


@dataclass
class Endpoint:
    spec: ImageSpec = SPEC
    model: str = "dogs@1"
    asked: list[tuple[int, str, str]] = field(default_factory=list)

    def explain(self, body: bytes, spec: ImageSpec, label: str) -> Explanation:
        self.asked.append((len(body), spec.hash, label))
        if spec != self.spec:
            raise SpecMismatchError(self.spec)
        return Explanation(((-1.0, 0.0), (1.0, 4.0)), self.model, "class activation")


def explanations(images: Images, endpoint: Endpoint) -> Explanations:
    return Explanations(images, prepare, endpoint, SPEC, "bucket")


def test_map_is_of_the_rows_version_and_its_likeliest_label() -> None:
    images, endpoint = Images(), Endpoint()
    record = replace(RECORD, label="unknown_dog")
    answer = explanations(images, endpoint).of(record)
    assert answer == {
        "map": [[0.0, 0.0], [0.25, 1.0]],
        "box": {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0},
        "label": "beagle",
        "method": "class activation",
    }
    assert [(each.version, each.versioned) for each in images.asked] == [("v1", True)]
    assert endpoint.asked == [(128 + SPEC.image_bytes, SPEC.hash, "beagle")]


def test_a_newly_promoted_models_spec_is_learned_and_its_crop_is_shown() -> None:
    endpoint = Endpoint(spec=OTHER_SPEC)
    answer = explanations(Images(), endpoint).of(RECORD)
    assert [each[1] for each in endpoint.asked] == [SPEC.hash, OTHER_SPEC.hash]
    assert answer["box"] == {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}


def test_another_model_does_not_speak_for_the_one_that_answered() -> None:
    with pytest.raises(
        ApiProblem, match="dogs@1 gave this answer, and dogs@2 answers now"
    ) as found:
        explanations(Images(), Endpoint(model="dogs@2")).of(RECORD)
    assert found.value.status == 404


def test_what_is_gone_rejected_or_deleted_has_no_map_and_asks_no_model() -> None:
    endpoint = Endpoint()
    rejection = Rejection(RejectReason.TRUNCATED, "", "JPEG", 3, 4)
    for images, record in (
        (Images(None), RECORD),
        (Images(rejection), RECORD),
        (Images(b"no image"), RECORD),
        (Images(), records.rejected(image_ref(), rejection, "2026-11-24")),
        (Images(), records.deleted(image_ref(), "2026-11-24")),
    ):
        with pytest.raises(ApiProblem) as found:
            explanations(images, endpoint).of(record)
        assert found.value.status == 404
    assert endpoint.asked == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_box_covers_on_the_displayed_photo_what_the_model_saw(orientation: int) -> None:
    """The displayed photo is red where the box should be: the model's crop must be all red."""
    spec = replace(SPEC, size=16, resize=24)
    shown = Image.new("RGB", (96, 48), "blue")
    box = box_on_photo(96, 48, spec)
    left, top = round(96 * box["x"]), round(48 * box["y"])
    right, bottom = left + round(96 * box["width"]), top + round(48 * box["height"])
    assert (right - left, bottom - top) == (32, 32)
    shown.paste("red", (left, top, right, bottom))
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    turned(shown, undo).save(file, "PNG", exif=exif)
    seen = prepare(file.getvalue(), spec)
    assert isinstance(seen, Prepared)
    assert (seen.width, seen.height) == (96, 48)
    crop = Image.frombytes("RGB", (16, 16), seen.pixels).crop((1, 1, 15, 15))
    assert crop.getcolors() == [(14 * 14, (255, 0, 0))]


def test_a_map_with_nothing_for_the_label_is_dark() -> None:
    assert shares([[-1.0, 0.0], [-3.0, -0.5]]) == [[0.0, 0.0], [0.0, 0.0]]


def asked_endpoint() -> tuple[ModelEndpoint, Stubber]:
    client = boto3.client("sagemaker-runtime")
    stubber = Stubber(client)
    stubber.activate()
    return ModelEndpoint(client, "dogs"), stubber


def test_the_label_travels_in_the_content_type_whatever_its_characters() -> None:
    model, runtime = asked_endpoint()
    body = json.dumps({"map": [[1, 2.5]], "bias": 0, "label": "é; ü", "model": "dogs@1"}).encode()
    runtime.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(body), len(body))},
        {
            "EndpointName": "dogs",
            "ContentType": f"application/x-npy; spec={SPEC.hash}; explain=%C3%A9%3B%20%C3%BC",
            "Accept": "application/json",
            "Body": b"npy",
        },
    )
    assert model.explain(b"npy", SPEC, "é; ü") == Explanation(
        ((1.0, 2.5),), "dogs@1", "class activation"
    )


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (404, '{"error": {"code": "no_explanation", "message": "other head"}}', NoExplanationError),
        (400, '{"error": {"code": "unknown_label", "message": "no such"}}', NoExplanationError),
        (503, "not JSON", TransientError),
        (503, "[]", TransientError),
    ],
)
def test_a_model_without_maps_is_told_apart_from_one_that_failed(
    status: int, message: str, expected: type[Exception]
) -> None:
    model, runtime = asked_endpoint()
    runtime.add_client_error(
        "invoke_endpoint",
        "ModelError",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": message},
    )
    with pytest.raises(expected):
        model.explain(b"npy", SPEC, "pug")


def test_an_older_archive_that_answers_with_predictions_has_no_map() -> None:
    with pytest.raises(NoExplanationError, match="promote it again"):
        parse_explanation(b'[{"label": "pug"}]')


@pytest.mark.parametrize(
    "answer",
    [
        {"map": [], "model": "m"},
        {"map": [[]], "model": "m"},
        {"map": [[1], [1, 2]], "model": "m"},
        {"map": [[True]], "model": "m"},
        {"map": [["1"]], "model": "m"},
        {"map": [[float("nan")]], "model": "m"},
        {"map": [1], "model": "m"},
        {"map": [[1]]},
        {"map": [[1]], "model": 5},
        {"map": [[1]], "model": "m", "method": "guess"},
        "map",
    ],
)
def test_an_answer_that_is_no_map_is_a_bug(answer: Any) -> None:
    with pytest.raises(InvalidAnswerError):
        parse_explanation(json.dumps(answer).encode())
