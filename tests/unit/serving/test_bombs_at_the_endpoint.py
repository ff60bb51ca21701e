"""No body stops the endpoint from answering the next one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from model.serving.app import create_app
from tests.bombs import bombs, healthy
from tests.unit.serving.asgi_client import call, running
from tests.unit.serving.tiny_model import SPEC

ALLOWED = {200, 400, 413, 415}
NPY = f"application/x-npy; spec={SPEC.hash}"


def test_after_every_bomb_the_next_image_is_answered(archive: Path) -> None:
    async def drop_them() -> int:
        answered = 0
        async with running(create_app(archive)) as app:
            good = healthy()["jpeg"]
            for name, body in bombs():
                response = await call(
                    app, "POST", "/invocations", content_type="application/x-image", body=body
                )
                assert response.status in ALLOWED, (name, response.status)
                assert b"Traceback" not in response.body
                if answered % 10 == 0:
                    again = await call(
                        app, "POST", "/invocations", content_type="image/jpeg", body=good
                    )
                    assert again.status == 200, name
                answered += 1
            ping = await call(app, "GET", "/ping")
            assert ping.status == 200
        return answered

    assert asyncio.run(drop_them()) >= 200


def test_bombs_that_call_themselves_arrays_are_refused(archive: Path) -> None:
    async def drop_them() -> None:
        async with running(create_app(archive)) as app:
            for name, body in bombs():
                response = await call(app, "POST", "/invocations", content_type=NPY, body=body)
                assert response.status in {400, 413}, (name, response.status)

    asyncio.run(drop_them())
