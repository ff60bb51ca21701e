"""The custom resource that brings the default model into the models bucket."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from archive.reading import check_archive
from handlers import custom_resource, publish_model
from registry.models_bucket import ModelsBucket
from registry.promotions import Promotion, Promotions
from tests.model_archives import IMAGE_SPEC, card, write_archive
from tests.unit.handlers.conftest import BUCKET, CloudFormation, Context, event, keys

CARD = card()


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
