"""A default model that cannot be published fails the deployment, which says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import PIL
import pytest

from archive.card import MAX_CARD_BYTES, ArchiveError
from handlers import custom_resource, publish_model
from registry.models_bucket import ModelsBucket
from tests.model_archives import write_archive
from tests.unit.handlers.conftest import BUCKET, CloudFormation, Context, event, keys
from tools.paths import PROJECT


@pytest.mark.parametrize(
    ("card_json", "said"),
    [
        (None, "there is no model.json"),
        (b"{not json", "model.json is not JSON"),
        (b'["dogs"]', "a card has the fields"),
        (b'{"name": "dogs"}' + b" " * MAX_CARD_BYTES, "is larger than"),
    ],
)
def test_an_archive_without_a_proper_card_fails_the_deployment_and_says_why(
    s3: Any, archive: Path, cloudformation: CloudFormation, card_json: bytes | None, said: str
) -> None:
    write_archive(archive, card_json, leave_out=("model.json",) if card_json is None else ())

    publish_model.handler(event("Create"), Context())

    assert cloudformation.answer["Status"] == "FAILED"
    assert "ArchiveError" in cloudformation.answer["Reason"]
    assert said in cloudformation.answer["Reason"]
    assert cloudformation.answer["PhysicalResourceId"] == custom_resource.NOT_PUBLISHED
    assert keys(s3) == set()


@pytest.mark.parametrize("damage", ["missing", "truncated", "no archive"])
def test_a_damaged_archive_fails_the_deployment_and_says_why(
    s3: Any, archive: Path, cloudformation: CloudFormation, damage: str
) -> None:
    if damage == "missing":
        archive.unlink()
    elif damage == "truncated":
        archive.write_bytes(archive.read_bytes()[:200])
    else:
        archive.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")

    publish_model.handler(event("Create"), Context())

    assert cloudformation.answer["Status"] == "FAILED"
    assert "model.tar.gz cannot be read" in cloudformation.answer["Reason"]


def test_a_refusal_of_s3_fails_the_deployment_and_names_the_log(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    s3.delete_bucket(Bucket=BUCKET)

    publish_model.handler(event("Create"), Context())

    assert cloudformation.answer["Status"] == "FAILED"
    assert "NoSuchBucket" in cloudformation.answer["Reason"]
    assert Context().log_stream_name in cloudformation.answer["Reason"]


def test_a_failed_update_keeps_the_resource_that_there_is(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    # Another PhysicalResourceId would make CloudFormation delete the model that is in use.
    archive.unlink()

    publish_model.handler(event("Update", "models/0123456789abcdef"), Context())

    assert cloudformation.answer["Status"] == "FAILED"
    assert cloudformation.answer["PhysicalResourceId"] == "models/0123456789abcdef"


def test_the_answer_fits_cloudformation_however_long_the_error_is(
    s3: Any, archive: Path, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_models: ModelsBucket, path: Path) -> tuple[str, dict[str, str]]:
        raise ArchiveError(f"{path}: " + "very long " * 1000)

    monkeypatch.setattr(publish_model, "publish_default", refuse)

    publish_model.handler(event("Create"), Context())

    (request,) = cloudformation.requests
    assert isinstance(request.data, bytes)
    assert len(request.data) < 4096
    assert cloudformation.answer["Reason"].endswith(f"(log stream {Context().log_stream_name})")


def test_an_answer_that_does_not_arrive_is_an_error_that_lambda_tries_again(
    s3: Any, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(request: urllib.request.Request, timeout: float) -> None:
        raise urllib.error.URLError("connection refused")

    monkeypatch.setattr(urllib.request, "urlopen", refused)

    with pytest.raises(urllib.error.URLError):
        publish_model.handler(event("Create"), Context())


def other_processors_bundle(folder: Path) -> Path:
    """The product's code with Pillow's Python files and another processor's extension modules."""
    pillow = folder / "PIL"
    shutil.copytree(Path(PIL.__file__).parent, pillow, ignore=shutil.ignore_patterns("*.so"))
    minor = sys.version_info.minor
    for module in ("_imaging", "_avif"):
        (pillow / f"{module}.cpython-3{minor}-s390x-linux-gnu.so").write_bytes(b"\x7fELF")
    return folder


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_bundle_for_another_processor_fails_the_deployment_and_says_what_to_do(
    tmp_path: Path, request_type: str
) -> None:
    program = (
        "from handlers.publish_model import change\n"
        f"change({{'RequestType': {request_type!r}, 'PhysicalResourceId': 'model'}})"
    )
    paths = [str(other_processors_bundle(tmp_path)), str(PROJECT / "functions")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MODELS_BUCKET": BUCKET},
        capture_output=True,
        text=True,
        check=False,
    )
    last_line = done.stderr.splitlines()[-1]
    python = f"python3.{sys.version_info.minor}"
    assert last_line.startswith("registry.bundle.BundleError: ")
    assert f"sam build --parameter-overrides PythonRuntime={python} Architecture=" in last_line


def test_the_reason_reaches_cloudformation(
    cloudformation: CloudFormation, archive: Path, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL._imaging", None)  # as if it could not be imported
    publish_model.handler(event("Create"), Context())
    assert cloudformation.answer["Status"] == "FAILED"
    assert "BundleError: the functions' bundle was built for" in cloudformation.answer["Reason"]
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
