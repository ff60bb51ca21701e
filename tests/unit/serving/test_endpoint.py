"""The endpoint's contract, over ASGI and without a socket."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.serving import classifier as classifier_module
from model.serving.app import Application, Limits, create_app
from model.serving.logs import JsonLine
from model.serving.onnx_model import OnnxModel, Scores
from tests.heic_files import file_bytes
from tests.unit.serving.asgi_client import ask, call, running
from tests.unit.serving.tiny_model import LABELS, SPEC, write_archive

NPY = f"application/x-npy; spec={SPEC.hash}"
RED, GREEN, BLUE, BLACK = (250, 5, 5), (5, 250, 5), (5, 5, 250), (3, 2, 1)


def npy(*colours: tuple[int, int, int]) -> bytes:
    images = np.stack([np.full((SPEC.size, SPEC.size, 3), c, dtype=np.uint8) for c in colours])
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


def picture(colour: tuple[int, int, int], image_format: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (31, 17), colour).save(file, image_format)
    return file.getvalue()


def invoke(archive: Path, content_type: str, body: bytes, **request: Any) -> Any:
    return ask(archive, "POST", "/invocations", content_type=content_type, body=body, **request)


def test_a_batch_is_answered_in_its_order(archive: Path) -> None:
    response = invoke(archive, NPY, npy(RED, GREEN, BLUE, GREEN))
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert [entry["label"] for entry in response.json()] == ["red", "green", "blue", "green"]


def test_an_entry_holds_the_verdict_the_five_best_and_the_model(archive: Path) -> None:
    (entry,) = invoke(archive, NPY, npy(GREEN)).json()
    assert set(entry) == {"label", "confidence", "predictions", "model"}
    assert entry["model"] == "colours@3"
    confidences = [each["confidence"] for each in entry["predictions"]]
    assert len(confidences) == 5
    assert confidences == sorted(confidences, reverse=True)
    assert entry["predictions"][0] == {"label": "green", "confidence": entry["confidence"]}
    assert 0.9 < entry["confidence"] <= 1
    assert {each["label"] for each in entry["predictions"]} < set(LABELS)


def test_the_gate_names_what_is_unknown_and_keeps_the_predictions(archive: Path) -> None:
    (entry,) = invoke(archive, NPY, npy(BLACK)).json()
    assert entry["label"] == "not_a_colour"
    assert entry["confidence"] == pytest.approx(1 - 3 / 255, abs=1e-6)
    assert entry["predictions"][0]["label"] == "red"


@pytest.mark.parametrize(
    ("content_type", "image_format"),
    [
        ("image/jpeg", "JPEG"),
        ("image/png; charset=binary", "PNG"),
        ("IMAGE/WEBP", "WEBP"),
        ("image/jpg", "JPEG"),
        ("image/bmp", "BMP"),
        ("image/avif", "AVIF"),
        ("application/x-image", "PNG"),
    ],
)
def test_people_may_send_an_image_file(archive: Path, content_type: str, image_format: str) -> None:
    (entry,) = invoke(archive, content_type, picture(BLUE, image_format)).json()
    assert entry["label"] == "blue"
    assert entry["image"] == {"format": image_format, "width": 31, "height": 17}


def test_a_body_in_chunks_needs_no_announced_length(archive: Path) -> None:
    body = npy(RED)
    response = invoke(archive, NPY, b"", chunks=[body[:10], body[10:70], body[70:]])
    assert [entry["label"] for entry in response.json()] == ["red"]


@pytest.mark.parametrize("content_type", ["image/heic", "image/heif"])
def test_people_may_send_what_a_phone_writes(archive: Path, content_type: str) -> None:
    (entry,) = invoke(archive, content_type, file_bytes("photo")).json()
    assert entry["image"] == {"format": "HEIF", "width": 120, "height": 80}


def test_ray_serves_container_may_post_to_the_root(archive: Path) -> None:
    response = ask(archive, "POST", "/", content_type=NPY, body=npy(BLUE))
    assert [entry["label"] for entry in response.json()] == ["blue"]


@pytest.mark.parametrize(
    "content_type", ["application/x-npy; spec=0123456789abcdef", "application/x-npy"]
)
def test_images_of_another_spec_are_refused_with_the_right_one(
    archive: Path, content_type: str
) -> None:
    response = invoke(archive, content_type, npy(RED))
    assert response.status == 409
    error = response.json()["error"]
    assert error["code"] == "spec_mismatch"
    assert error["expected_spec"] == SPEC.hash
    assert error["image_spec"] == SPEC.to_json()


@pytest.mark.parametrize("content_type", ["", "text/csv", "image/svg+xml", "application/json"])
def test_other_types_are_refused_with_the_list_of_ours(archive: Path, content_type: str) -> None:
    response = invoke(archive, content_type, b"1,2,3")
    assert (response.status, response.error_code) == (415, "unsupported_type")
    assert "application/x-npy" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("image/jpeg", b"", "empty"),
        ("image/jpeg", b"hello, I am no image", "not_an_image"),
        ("image/png", picture(RED, "PNG")[:60], "truncated"),
        (NPY, npy(RED)[:-1], "malformed_npy"),
        (NPY, b"", "malformed_npy"),
    ],
)
def test_a_body_that_is_no_image_says_why(
    archive: Path, content_type: str, body: bytes, code: str
) -> None:
    response = invoke(archive, content_type, body)
    assert (response.status, response.error_code) == (400, code)


@pytest.fixture
def in_transform_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")


@pytest.mark.usefixtures("in_transform_job")
@pytest.mark.parametrize(
    ("body", "code", "image_format"),
    [
        (b"", "empty", None),
        (b"hello, I am no image", "not_an_image", None),
        (picture(RED, "PNG")[:60], "truncated", "PNG"),
    ],
)
def test_in_a_transform_job_a_bad_image_is_an_answer_so_that_the_others_count(
    archive: Path, body: bytes, code: str, image_format: str | None
) -> None:
    response = invoke(archive, "application/x-image", body)
    assert response.status == 200
    (entry,) = response.json()
    assert set(entry) == {"error", "image"}
    assert entry["error"]["code"] == code
    assert entry["error"]["message"]
    assert entry["image"]["format"] == image_format


@pytest.mark.usefixtures("in_transform_job")
@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("image/png", picture(RED, "PNG"), 200),
        (NPY, npy(RED)[:-1], 400),
        ("application/x-npy; spec=0123456789abcdef", npy(RED), 409),
        ("text/csv", b"1,2,3", 415),
        ("image/jpeg", bytes(21 * 1024 * 1024), 413),
    ],
)
def test_in_a_transform_job_everything_else_stays(
    archive: Path, content_type: str, body: bytes, status: int
) -> None:
    assert invoke(archive, content_type, body).status == status


def test_a_body_beyond_the_limit_is_refused_announced_or_not(archive: Path) -> None:
    limits = Limits(body_bytes=500, in_flight_bytes=10_000)
    body = npy(RED, GREEN, BLUE)
    announced = invoke(archive, NPY, body, limits=limits)
    chunked = invoke(archive, NPY, b"", chunks=[body[:400], body[400:]], limits=limits)
    for response in (announced, chunked):
        assert (response.status, response.error_code) == (413, "too_large")


def test_more_than_the_endpoint_can_hold_is_refused_for_now(archive: Path) -> None:
    response = invoke(archive, NPY, npy(RED), limits=Limits(body_bytes=1000, in_flight_bytes=200))
    assert (response.status, response.error_code) == (503, "overloaded")
    assert response.headers["retry-after"] == "1"


def test_memory_is_given_back_after_each_request(archive: Path) -> None:
    body = npy(RED)
    limits = Limits(body_bytes=len(body), in_flight_bytes=len(body))

    async def scenario() -> list[int]:
        async with running(Application(archive, limits)) as app:
            return [
                (await call(app, "POST", "/invocations", content_type=NPY, body=sent)).status
                for sent in (body, b"x" * len(body), body)
            ]

    assert asyncio.run(scenario()) == [200, 400, 200]


def test_ping_says_healthy_only_between_start_and_stop(archive: Path) -> None:
    async def scenario() -> list[int]:
        app = create_app(archive)
        before = await call(app, "GET", "/ping")
        refused = await call(app, "POST", "/invocations", content_type=NPY, body=npy(RED))
        async with running(app):
            during = await call(app, "GET", "/ping")
        after = await call(app, "GET", "/ping")
        assert refused.headers["retry-after"] == "1"
        return [before.status, refused.status, during.status, after.status]

    assert asyncio.run(scenario()) == [503, 503, 200, 503]


def test_load_balancer_may_ask_for_the_health_without_a_body(archive: Path) -> None:
    assert ask(archive, "HEAD", "/ping").status == 200
    assert ask(archive, "HEAD", "/invocations").status == 404


def test_batch_transform_learns_how_to_call(archive: Path) -> None:
    parameters = ask(archive, "GET", "/execution-parameters").json()
    assert parameters == {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 20,
    }
    # SageMaker's own rule for the product.
    assert parameters["MaxConcurrentTransforms"] * parameters["MaxPayloadInMB"] <= 100


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/invocations"), ("POST", "/x")]
)
def test_other_routes_do_not_exist(archive: Path, method: str, path: str) -> None:
    assert ask(archive, method, path).status == 404


def startup_failure(archive: Path) -> str:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_app(archive)({"type": "lifespan"}, receive, send))
    (message,) = sent
    assert message["type"] == "lifespan.startup.failed"
    return str(message["message"])


def test_a_model_with_other_labels_than_its_card_does_not_start(tmp_path: Path) -> None:
    assert "2 labels" in startup_failure(write_archive(tmp_path, labels=["red", "green"]))


def test_a_model_with_a_gate_that_its_card_does_not_know_does_not_start(tmp_path: Path) -> None:
    assert "gate" in startup_failure(write_archive(tmp_path, gate=None))


def test_a_missing_model_does_not_start(tmp_path: Path) -> None:
    (write_archive(tmp_path) / "model.onnx").unlink()
    assert "model.onnx" in startup_failure(tmp_path)


@pytest.mark.parametrize("broken", ["probabilities", "known"])
def test_an_answer_that_is_no_probability_is_an_error_without_a_traceback(
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    async def scenario() -> Any:
        async with running(create_app(archive)) as app:
            return await call(app, "POST", "/invocations", content_type=NPY, body=npy(RED, BLUE))

    honest = OnnxModel.run

    def lying(self: OnnxModel, images: Any) -> Scores:
        scores = honest(self, images)
        if images[0, 0, 0, 0] == 127:  # the probe
            return scores
        return replace(scores, **{broken: getattr(scores, broken) * np.nan})

    monkeypatch.setattr(classifier_module.OnnxModel, "run", lying)
    response = asyncio.run(scenario())
    assert (response.status, response.error_code) == (500, "internal_error")
    assert b"Traceback" not in response.body
    assert b"nan" not in response.body
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None


def test_a_client_that_leaves_gets_no_answer_and_leaves_no_work(archive: Path) -> None:
    async def scenario() -> list[Any]:
        sent: list[Any] = []
        messages = [
            {"type": "http.request", "body": npy(RED), "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/invocations",
            "headers": [(b"content-type", NPY.encode())],
        }
        async with running(create_app(archive)) as app:
            await app(scope, receive, send)
            await call(app, "POST", "/invocations", content_type=NPY, body=npy(RED))
        return sent

    assert asyncio.run(scenario()) == []


def test_callers_at_the_same_time_get_their_own_answers(archive: Path) -> None:
    colours = [RED, GREEN, BLUE] * 20

    async def scenario() -> list[str]:
        async with running(create_app(archive)) as app:
            responses = await asyncio.gather(
                *(
                    call(app, "POST", "/invocations", content_type=NPY, body=npy(colour))
                    for colour in colours
                )
            )
        return [response.json()[0]["label"] for response in responses]

    assert asyncio.run(scenario()) == ["red", "green", "blue"] * 20


def test_the_application_can_be_pickled_before_it_starts(archive: Path) -> None:
    # Ray Serve sends it to its replica that way.
    app = pickle.loads(pickle.dumps(create_app(archive)))  # noqa: S301 - our own bytes

    async def scenario() -> int:
        async with running(app):
            return (await call(app, "GET", "/ping")).status

    assert asyncio.run(scenario()) == 200


def test_logs_are_json_lines_without_image_content(
    archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = b"a secret inside of an image"
    with caplog.at_level("INFO"):
        invoke(archive, "image/jpeg", secret)
    lines = [json.loads(JsonLine().format(record)) for record in caplog.records]
    mine = [line for line in lines if line["message"] in {"started", "refused", "stopped"}]
    assert [line["message"] for line in mine] == ["started", "refused", "stopped"]
    assert mine[0]["model"] == "colours@3"
    assert mine[1]["status"] == 400
    assert secret.decode() not in json.dumps(lines)
