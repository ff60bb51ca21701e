"""The real model in a real process: many callers, misbehaving callers, and its shutdown."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archive.card import read_model_card
from imaging import ImageSpec, Prepared, encode_npy, prepare
from tests.integration.serving.server import Answer, Server, free_port, png

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def spec(archive: Path) -> ImageSpec:
    return read_model_card(archive / "model.json").image_spec


def pixels(number: int, spec: ImageSpec) -> bytes:
    prepared = prepare(png(number), spec)
    assert isinstance(prepared, Prepared)
    return prepared.pixels


def npy(spec: ImageSpec, *numbers: int) -> tuple[str, bytes]:
    body = encode_npy([pixels(number, spec) for number in numbers], spec)
    return f"application/x-npy; spec={spec.hash}", body


def assert_same_answer(answer: object, expected: object) -> None:
    """Equal but for the last digits, which depend on who shared the run."""
    assert isinstance(answer, dict)
    assert isinstance(expected, dict)
    assert answer["label"] == expected["label"]
    assert answer["confidence"] == pytest.approx(expected["confidence"], abs=1e-4)
    for mine, theirs in zip(answer["predictions"], expected["predictions"], strict=True):
        assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)


def test_the_demo_pug_is_a_pug(server: Server) -> None:
    answer = server.invoke("image/jpeg", (ROOT / "demo" / "photos" / "pug.jpg").read_bytes())
    assert answer.status == 200
    (entry,) = answer.content
    assert entry["label"] == "pug"
    assert entry["confidence"] > 0.5


def test_prepared_pixels_and_the_file_itself_get_the_same_answer(
    server: Server, spec: ImageSpec
) -> None:
    (from_file,) = server.invoke("image/png", png(3)).content
    (from_pixels,) = server.invoke(*npy(spec, 3)).content
    assert_same_answer(from_pixels, from_file)


def test_every_caller_of_a_crowd_gets_the_answer_it_gets_alone(
    server: Server, spec: ImageSpec
) -> None:
    numbers = list(range(24))
    requests = [("image/png", png(n)) if n % 3 else npy(spec, n) for n in numbers]
    alone = [server.invoke(*request).content[0] for request in requests]
    with ThreadPoolExecutor(16) as crowd:
        together = list(crowd.map(lambda request: server.invoke(*request).content[0], requests * 3))
    for answer, expected in zip(together, alone * 3, strict=True):
        assert_same_answer(answer, expected)
    assert len({json.dumps(answer["predictions"]) for answer in alone}) > 12, "too much alike"


def test_a_large_batch_keeps_its_order_beside_small_calls(server: Server, spec: ImageSpec) -> None:
    numbers = [n % 12 for n in range(27)]
    alone = {n: server.invoke(*npy(spec, n)).content[0] for n in range(12)}
    with ThreadPoolExecutor(5) as crowd:
        small = [crowd.submit(server.invoke, *npy(spec, n)) for n in range(4)]
        large = crowd.submit(server.invoke, *npy(spec, *numbers)).result()
        for n, call in enumerate(small):
            assert_same_answer(call.result().content[0], alone[n])
    for n, answer in zip(numbers, large.content, strict=True):
        assert_same_answer(answer, alone[n])


def test_a_refusal_reaches_a_client_that_sent_megabytes(server: Server, spec: ImageSpec) -> None:
    _, body = npy(spec, *range(20))
    answer = server.invoke("application/x-npy; spec=0123456789abcdef", body)
    assert (answer.status, answer.content["error"]["expected_spec"]) == (409, spec.hash)
    assert server.invoke("text/csv", body).status == 415


def test_a_connection_serves_one_request_after_the_other(server: Server, spec: ImageSpec) -> None:
    connection = server.connect()
    statuses = []
    for content_type, body in (npy(spec, 1), ("image/jpeg", b"no image"), npy(spec, 2)):
        connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [200, 400, 200]


def test_clients_that_hang_up_do_not_hurt_the_others(server: Server, spec: ImageSpec) -> None:
    content_type, body = npy(spec, *range(8))
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def hang_up(sent_bytes: int) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(request[:sent_bytes])

    def stay(_: int) -> Answer:
        return server.invoke(content_type, body)

    with ThreadPoolExecutor(12) as crowd:
        rude = [crowd.submit(hang_up, n) for n in (50, 300, len(request) - 1, len(request)) * 3]
        answers = list(crowd.map(stay, range(4)))
        for each in rude:
            each.result()
    assert [len(answer.content) for answer in answers] == [8] * 4
    assert all(answer.content[0]["label"] == answers[0].content[0]["label"] for answer in answers)


def test_sigterm_ends_the_process_after_the_requests_under_way(
    archive: Path, spec: ImageSpec
) -> None:
    content_type, body = npy(spec, *range(40))
    with Server(archive) as server, ThreadPoolExecutor(3) as crowd:
        connections = [server.connect() for _ in range(3)]
        for connection in connections:
            connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        answers = [crowd.submit(connection.getresponse) for connection in connections]
        server.process.send_signal(signal.SIGTERM)
        for answer in answers:
            response = answer.result()
            assert response.status == 200
            assert len(json.loads(response.read())) == 40
        server.process.wait(30)
        assert server.process.stderr is not None
        lines = [json.loads(line) for line in server.process.stderr.read().splitlines()]
    assert [line["message"] for line in lines] == ["started", "stopped"]
    assert lines[0]["spec"] == spec.hash


def test_a_model_that_does_not_load_ends_the_process_with_a_line_that_says_why(
    tmp_path: Path, archive: Path
) -> None:
    for name in ("model.json", "model.onnx"):
        content = (archive / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "model.serving"),
            *("--model-dir", str(tmp_path), "--port", str(free_port())),
        ],
        env=os.environ | {"PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    first = json.loads(ended.stderr.splitlines()[0])
    assert first["level"] == "ERROR"
    assert first["message"] == "the model did not load"
    assert "model.json" in first["traceback"]


def test_the_images_serve_command_runs_the_archives_own_code(tmp_path: Path) -> None:
    # What SageMaker starts as `docker run IMAGE serve`; a stand-in for python shows the call.
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$PYTHONPATH|$*"\n')
    python.chmod(0o755)
    shown = subprocess.run(
        [str(ROOT / "functions" / "serving_image" / "serve")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert shown == (
        "/opt/ml/model|-m model.serving --model-dir /opt/ml/model --host 0.0.0.0 --port 8080"
    )
