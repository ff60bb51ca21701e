"""The archive under Ray Serve, started and asked as AWS's container does it.

The container's entry script runs `ray start`, `serve start` and `serve run config.yaml`; its
adapter answers SageMaker's /invocations by a POST to Ray's root, and /ping by Ray's own health.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from archive.card import read_model_card
from bench.serving_hosts import Body, Host, processes, under_ray
from tests.integration.serving.server import Server, png

ROOT = Path(__file__).resolve().parents[3]
RAY = Path(os.environ.get("IMAGEDROP_TOOLS", ROOT / ".tools")) / "ray" / "bin"


def post(host: Host, path: str, body: Body) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{host.port}{path}",
        data=body.content,
        headers={"Content-Type": body.content_type, "Accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - http above
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.slow
def test_the_archive_answers_under_ray_serve_as_it_does_under_uvicorn(
    archive: Path, server: Server
) -> None:
    assert (RAY / "serve").exists(), f"no Ray Serve in {RAY}: run `make test-slow`, it installs it"
    picture = Body("image/png", png(5))
    spec = read_model_card(archive / "model.json").image_spec
    with under_ray("Ray Serve", RAY, archive, picture) as host:
        with urllib.request.urlopen(f"http://127.0.0.1:{host.port}/-/healthz") as health:
            assert health.status == 200
        by_adapter = post(host, "/", picture)
        directly = post(host, "/invocations", picture)
        other_spec = post(host, "/", Body("application/x-npy; spec=0", b""))
        no_image = post(host, "/", Body("image/jpeg", b"no image"))
    assert by_adapter == directly
    assert by_adapter[0] == 200
    (entry,) = server.invoke("image/png", png(5)).content
    assert f'"label":"{entry["label"]}"'.encode() in by_adapter[1]
    assert other_spec[0] == 409
    assert spec.hash.encode() in other_spec[1]
    assert no_image[0] == 400
    assert processes(host.mark) == [], "Ray left processes behind"
