"""The custom resource that brings the default model into the models bucket."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import PIL
import pytest
from moto import mock_aws

from archive.card import MAX_CARD_BYTES, ArchiveError
from archive.reading import check_archive
from handlers import custom_resource, publish_model
from registry.models_bucket import ModelsBucket
from registry.promotions import Promotion, Promotions
from tests.model_archives import IMAGE_SPEC, card, write_archive
from tools.paths import PROJECT

BUCKET = "models-bucket"
CARD = card()


@dataclass
class Context:
    log_stream_name: str = "2026/11/24/[1]abc"


@dataclass
class CloudFormation:
    """The content put to the ResponseURL."""

    requests: list[urllib.request.Request] = field(default_factory=list)

    @property
    def answer(self) -> dict[str, Any]:
        (request,) = self.requests
        assert isinstance(request.data, bytes)
        answer: dict[str, Any] = json.loads(request.data)
        return answer


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    received = CloudFormation()

    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert timeout > 0
        received.requests.append(request)
        return io.BytesIO()

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return received


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive in the bundle, and the function's environment."""
    path = tmp_path / "model.tar.gz"
    write_archive(path)
    monkeypatch.setattr(publish_model, "ARCHIVE_PATH", path)
    monkeypatch.setenv("MODELS_BUCKET", BUCKET)
    return path


def event(request_type: str, physical_id: str | None = None) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResponseURL": "https://cloudformation.example/answer?signature=1",
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/s/1",
        "RequestId": "request-1",
        "LogicalResourceId": "PublishedModel",
        "ResourceProperties": {"CodeVersion": "1"},
    } | ({} if physical_id is None else {"PhysicalResourceId": physical_id})


def keys(s3: Any) -> set[str]:
    return {each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def test_create_copies_the_very_bytes_and_answers_what_the_archive_says(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    publish_model.handler(event("Create"), Context())

    folder = f"models/{hashlib.sha256(archive.read_bytes()).hexdigest()[:16]}"
    assert cloudformation.answer == {
        "Status": "SUCCESS",
        "StackId": event("Create")["StackId"],
        "RequestId": "request-1",
        "LogicalResourceId": "PublishedModel",
        "PhysicalResourceId": folder,
        "Data": {
            "ModelDataUrl": f"s3://{BUCKET}/{folder}/model.tar.gz",
            "ImageSpec": json.dumps(IMAGE_SPEC, sort_keys=True, separators=(",", ":")),
            "DefaultModelDataUrl": f"s3://{BUCKET}/{folder}/model.tar.gz",
        },
    }
    stored = s3.get_object(Bucket=BUCKET, Key=f"{folder}/model.tar.gz")["Body"].read()
    assert stored == archive.read_bytes()
    beside = s3.get_object(Bucket=BUCKET, Key=f"{folder}/model.json")["Body"].read()
    assert json.loads(beside) == CARD


def test_the_answer_is_a_put_with_an_empty_content_type(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    # The presigned address is signed for exactly that; anything else is refused with a 403.
    publish_model.handler(event("Create"), Context())

    (request,) = cloudformation.requests
    assert request.get_method() == "PUT"
    assert request.full_url == event("Create")["ResponseURL"]
    assert request.get_header("Content-type") == ""


def test_update_with_the_same_archive_keeps_the_resource(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    publish_model.handler(event("Create"), Context())
    first = cloudformation.answer
    cloudformation.requests.clear()

    publish_model.handler(event("Update", first["PhysicalResourceId"]), Context())

    assert cloudformation.answer == first


def test_update_with_another_archive_is_another_resource_beside_the_first(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    publish_model.handler(event("Create"), Context())
    old = cloudformation.answer["PhysicalResourceId"]
    cloudformation.requests.clear()
    write_archive(archive, weights=b"better weights")

    publish_model.handler(event("Update", old), Context())

    new = cloudformation.answer["PhysicalResourceId"]
    assert new != old
    # The old one stays until CloudFormation deletes it: the endpoint still uses it.
    assert keys(s3) == {
        f"{each}/{name}" for each in (old, new) for name in ("model.tar.gz", "model.json")
    }


def test_delete_takes_back_what_was_published_and_nothing_else(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    s3.put_object(Bucket=BUCKET, Key="models/of-another/model.tar.gz", Body=b"trained")
    publish_model.handler(event("Create"), Context())
    published = cloudformation.answer["PhysicalResourceId"]
    cloudformation.requests.clear()

    publish_model.handler(event("Delete", published), Context())

    assert keys(s3) == {"models/of-another/model.tar.gz"}
    assert cloudformation.answer["Status"] == "SUCCESS"
    assert cloudformation.answer["PhysicalResourceId"] == published


def test_delete_needs_no_archive_in_the_bundle(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    archive.unlink()

    publish_model.handler(event("Delete", "models/0123456789abcdef"), Context())

    assert cloudformation.answer["Status"] == "SUCCESS"


def test_delete_after_a_failed_creation_touches_nothing(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    s3.put_object(Bucket=BUCKET, Key="not-published/model.tar.gz", Body=b"of another")

    publish_model.handler(event("Delete", custom_resource.NOT_PUBLISHED), Context())

    assert keys(s3) == {"not-published/model.tar.gz"}
    assert cloudformation.answer["Status"] == "SUCCESS"


def test_delete_succeeds_when_the_bucket_is_gone(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    s3.delete_bucket(Bucket=BUCKET)

    publish_model.handler(event("Delete", "models/0123456789abcdef"), Context())

    assert cloudformation.answer["Status"] == "SUCCESS"


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


def promote(s3: Any) -> Promotion:
    spec = IMAGE_SPEC | {"size": 256}
    promotion = Promotion("cats@1", f"s3://{BUCKET}/models/cats/model.tar.gz", spec, "2026-11-25")
    ModelsBucket(s3, BUCKET).write_promotions(Promotions((promotion,)))
    return promotion


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_deployment_keeps_the_model_that_a_person_has_promoted(
    s3: Any, archive: Path, cloudformation: CloudFormation, request_type: str
) -> None:
    promotion = promote(s3)

    publish_model.handler(event(request_type, "models/0123456789abcdef"), Context())

    data = cloudformation.answer["Data"]
    assert data["ModelDataUrl"] == promotion.model_data_url
    assert json.loads(data["ImageSpec"])["size"] == 256
    # The default model is published all the same, to go back to.
    folder = cloudformation.answer["PhysicalResourceId"]
    assert data["DefaultModelDataUrl"] == f"s3://{BUCKET}/{folder}/model.tar.gz"
    assert f"{folder}/model.tar.gz" in keys(s3)


def test_a_deletion_never_takes_a_promoted_model_away(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    promote(s3)
    s3.put_object(Bucket=BUCKET, Key="models/cats/model.tar.gz", Body=b"trained")
    publish_model.handler(event("Create"), Context())
    published = cloudformation.answer["PhysicalResourceId"]
    cloudformation.requests.clear()

    publish_model.handler(event("Delete", published), Context())

    assert keys(s3) == {"models/cats/model.tar.gz", "models/promotions.json"}


def test_promotions_that_cannot_be_read_fail_the_deployment_instead_of_being_forgotten(
    s3: Any, archive: Path, cloudformation: CloudFormation
) -> None:
    s3.put_object(Bucket=BUCKET, Key="models/promotions.json", Body=b"[]")

    publish_model.handler(event("Create"), Context())

    assert cloudformation.answer["Status"] == "FAILED"
    assert "not a list of promotions" in cloudformation.answer["Reason"]


def test_the_archive_is_streamed_and_s3_verifies_what_arrives(archive: Path) -> None:
    class Bodies:
        kinds: list[type]
        checksums: list[str | None]

        def __init__(self) -> None:
            self.kinds, self.checksums = [], []

        def put_object(self, *, Body: Any, ChecksumSHA256: str | None = None, **_: str) -> None:  # noqa: N803
            self.kinds.append(type(Body))
            self.checksums.append(ChecksumSHA256)

    s3: Any = Bodies()
    ModelsBucket(s3, BUCKET).publish(check_archive(archive))

    assert s3.kinds == [io.BufferedReader, bytes]
    assert s3.checksums[0] is not None


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
