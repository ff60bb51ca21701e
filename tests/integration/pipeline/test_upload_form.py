"""A guest without an account may drop images with a form, within its limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagedrop.predictions import wait_for_rows
from imagedrop.uploads import Sent, Upload
from imaging.limits import Limits
from tests.integration.conftest import REPOSITORY, Stack

PUG = REPOSITORY / "demo" / "photos" / "pug.webp"
PATIENCE_SECONDS = 90.0


@pytest.fixture(scope="module")
def form(stack: Stack) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(stack.command("upload-form", "alice", "--minutes", "5"))
    return printed


def post(form: dict[str, Any], content: bytes, **changed: str) -> httpx.Response:
    fields = form["fields"] | {"Content-Type": "image/webp"} | changed
    return httpx.post(
        form["url"], data=fields, files={"file": ("pug.webp", content)}, trust_env=False
    )


def test_a_guests_image_is_classified(stack: Stack, form: dict[str, Any]) -> None:
    assert post(form, PUG.read_bytes()).is_success
    key = "incoming/alice/pug.webp"
    version = stack.target.client("s3").head_object(Bucket=stack.target.images_bucket, Key=key)
    sent = Sent(Upload(Path(key), key), version=version["VersionId"])
    rows = wait_for_rows(
        stack.target, [sent], patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )
    assert rows[key].label == "pug"


@pytest.mark.parametrize(
    ("content", "changed"),
    [
        pytest.param(b"x", {"key": "incoming/bob/pug.webp"}, id="another guest's folder"),
        pytest.param(b"x", {"key": "work/pug.webp"}, id="another prefix"),
        pytest.param(b"x", {"Content-Type": "text/html"}, id="another type"),
        pytest.param(b"", {}, id="an empty file"),
        pytest.param(bytes(Limits().max_bytes + 1), {}, id="a file too large"),
        pytest.param(b"x", {"x-amz-signature": "0" * 64}, id="a forged signature"),
        pytest.param(b"x", {"acl": "public-read"}, id="a field that was not signed"),
    ],
)
def test_a_guest_may_do_nothing_else(
    form: dict[str, Any], content: bytes, changed: dict[str, str]
) -> None:
    assert post(form, content, **changed).is_client_error
