"""The API of the deployed stack, with its permissions enforced, used as the page uses it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from api.description import FILE
from imagedrop.uploads import Sent, Upload
from localcloud.environments import tools
from tests.integration.conftest import Stack
from tests.integration.pipeline.test_drop import PHOTOS, row_of

HERE = Path(__file__).parent
# Random calls of each operation.
EXAMPLES = 20
SCHEMATHESIS = tools() / "schemathesis" / "bin" / "schemathesis"


def call(
    stack: Stack, method: str, path: str, body: object = None, **headers: str
) -> httpx.Response:
    url = f"{stack.target.outputs['ApiUrl']}{path}"
    content = b"" if body is None else json.dumps(body).encode()
    request = AWSRequest(method, url, data=content, headers=headers)
    session = stack.target.session
    SigV4Auth(session.get_credentials(), "execute-api", session.region_name).add_auth(request)
    return httpx.request(
        method, url, content=content, headers=dict(request.headers.items()), timeout=30
    )


def send(form: dict[str, Any], photo: bytes, **changes: str) -> httpx.Response:
    fields = form["fields"] | {"Content-Type": "image/jpeg"} | changes
    return httpx.post(form["url"], data=fields, files={"file": ("x", photo)}, timeout=30)


@pytest.fixture(scope="module")
def dropped(stack: Stack) -> dict[str, Any]:
    """A row of a photo that came in by a form of the API."""
    photo = (PHOTOS / "pug_sideways.jpg").read_bytes()
    name = "by form/pug é.jpg"
    form = call(stack, "POST", "/uploads", {"key": name, "bytes": len(photo)}).json()
    assert send(form, photo, key="incoming/other.jpg").status_code == 403
    assert send(form, photo + b" ").status_code == 400
    answer = send(form, photo)
    assert answer.status_code == 204, answer.text
    record = row_of(
        stack,
        Sent(Upload(Path(form["key"]), form["key"]), version=answer.headers["x-amz-version-id"]),
    )
    rows = call(stack, "GET", "/predictions?limit=500").json()["predictions"]
    (found,) = (each for each in rows if each["key"] == record.key)
    row: dict[str, Any] = found
    return row


def test_a_photo_that_came_by_a_form_has_its_row(dropped: dict[str, Any]) -> None:
    assert (dropped["status"], dropped["label"]) == ("CLASSIFIED", "pug")


def test_the_photo_is_shown_small_as_it_is_displayed(stack: Stack, dropped: dict[str, Any]) -> None:
    path = f"/images/{dropped['id']}/thumbnail?size=256&version={dropped['version']}"
    answer = call(stack, "GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.content[8:12] == b"WEBP"
    assert "immutable" in answer.headers["cache-control"]
    known = call(stack, "GET", path, **{"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert call(stack, "GET", f"/images/{dropped['id']}/thumbnail?version=x").status_code == 404


def test_where_the_model_looked_is_drawn_onto_the_photo(
    stack: Stack, dropped: dict[str, Any]
) -> None:
    answer = call(stack, "GET", f"/images/{dropped['id']}/explanation")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["label"], found["method"]) == ("pug", "class activation")
    values = [each for row in found["map"] for each in row]
    assert (len(found["map"]), len(values)) == (7, 49)
    assert (max(values), min(values) >= 0) == (1, True)
    width, height = dropped["width"], dropped["height"]
    seen = (found["box"]["width"] * width, found["box"]["height"] * height)
    assert seen == pytest.approx([min(width, height) * 224 / 256] * 2, rel=0.01)


def test_a_correction_is_beside_the_answer_and_finds_its_filter(
    stack: Stack, dropped: dict[str, Any]
) -> None:
    path = f"/images/{dropped['id']}/review"
    said = {"action": "correct", "label": "akita", "version": dropped["version"]}
    row = call(stack, "PUT", path, said).json()
    assert (row["label"], row["review"]["label"]) == ("pug", "akita")
    assert row["review"]["by"].startswith("arn:aws:")
    reviewed = call(stack, "GET", "/predictions?reviewed=true&sort=least_sure&label=pug").json()
    # Other tests of this cloud review photos too.
    assert row["id"] in [each["id"] for each in reviewed["predictions"]]
    assert {each["label"] for each in reviewed["predictions"]} == {"pug"}
    undone = call(stack, "PUT", path, {"action": "undo", "version": dropped["version"]})
    assert undone.json()["review"] is None
    assert call(stack, "PUT", path, said | {"version": "old"}).status_code == 409


def test_a_form_is_for_who_signs(stack: Stack) -> None:
    url = stack.target.outputs["ApiUrl"] + "/uploads"
    assert httpx.post(url, json={"key": "a.jpg", "bytes": 1}, timeout=30).status_code == 403


@pytest.mark.thorough
@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed")
def test_the_api_answers_as_its_description_says(
    stack: Stack, dropped: dict[str, Any], tmp_path: Path
) -> None:
    """Calls that the description allows and forbids, and every answer held against it."""
    assert dropped
    credentials = stack.target.session.get_credentials()
    # It leaves its cache beside its settings.
    settings = shutil.copy(HERE / "schemathesis.toml", tmp_path)
    finished = subprocess.run(
        [
            SCHEMATHESIS,
            f"--config-file={settings}",
            "run",
            FILE,
            f"--url={stack.target.outputs['ApiUrl']}",
            # So many calls, the same on every machine: a limit of time would make them others.
            "--phases=coverage,fuzzing",
            f"--max-examples={EXAMPLES}",
            # Threads that parse Python at once fail in 3.11: "AST constructor recursion depth
            # mismatch", https://github.com/python/cpython/issues/106905
            "--workers=1",
            "--seed=1",
            "--suppress-health-check=all",
            "--no-color",
            "--generation-database=none",
            # API Gateway itself refuses methods that no route takes, with 404. And the hook signs
            # every call, also those that are meant to come without a signature.
            "--exclude-checks=unsupported_method,ignored_auth",
        ],
        cwd=tmp_path,
        env=os.environ
        | {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_REGION": stack.target.session.region_name,
            "SCHEMATHESIS_HOOKS": "signed_calls",
            "PYTHONPATH": str(HERE),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
