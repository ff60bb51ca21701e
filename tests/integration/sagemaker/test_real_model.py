"""The default model's archive, served by its own code behind the stand-in."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from archive.card import ModelCard
from archive.reading import extract_archive
from imaging import ImageSpec, Prepared, prepare
from imaging.npy import encode_npy
from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.stand_in import BUCKET, ROOT, StandIn, until

ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return extract_archive(ARCHIVE, tmp_path_factory.mktemp("archive") / "content")


@pytest.fixture(scope="module")
def serving(shared: StandIn, s3: FakeS3) -> Iterator[StandIn]:
    s3.objects[f"{BUCKET}/default/model.tar.gz"] = ARCHIVE.read_bytes()
    shared.create_endpoint("real", "default")
    yield shared
    shared.sagemaker.delete_endpoint(EndpointName="real")


def picture(red: int) -> bytes:
    """A JPEG of 320 by 240 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (red, 90, 40)).save(buffer, "JPEG")
    return buffer.getvalue()


def shard(count: int, spec: ImageSpec) -> bytes:
    """npy body of ``count`` prepared pictures."""
    prepared = [prepare(picture(60 * index), spec) for index in range(count)]
    return encode_npy([p.pixels for p in prepared if isinstance(p, Prepared)], spec)


def answers(stand_in: StandIn, body: bytes, content_type: str) -> list[dict[str, Any]]:
    answer = stand_in.runtime.invoke_endpoint(
        EndpointName="real", Body=body, ContentType=content_type
    )
    entries: list[dict[str, Any]] = json.loads(answer["Body"].read())
    return entries


def test_a_batch_gets_one_answer_an_image(serving: StandIn, card: ModelCard) -> None:
    spec = card.image_spec
    content_type = f"application/x-npy; spec={spec.hash}"
    entries = answers(serving, shard(3, spec), content_type)
    assert len(entries) == 3
    assert {entry["model"] for entry in entries} == {card.identity}
    assert all(0 <= entry["confidence"] <= 1 for entry in entries)


def test_a_photo_as_it_is_gets_the_answer_of_its_pixels(serving: StandIn, card: ModelCard) -> None:
    spec = card.image_spec
    (direct,) = answers(serving, picture(0), "image/jpeg")
    (packed,) = answers(serving, shard(1, spec), f"application/x-npy; spec={spec.hash}")
    assert direct["label"] == packed["label"]
    assert direct["confidence"] == pytest.approx(packed["confidence"], abs=1e-3)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("image/jpeg", b"no image", 400),
        ("text/csv", b"1,2", 415),
        ("application/x-npy; spec=0000000000000000", None, 409),
    ],
)
def test_refusals_of_the_model_arrive_with_their_own_status(
    serving: StandIn, card: ModelCard, content_type: str, body: bytes | None, status: int
) -> None:
    with pytest.raises(ClientError) as caught:
        answers(serving, body or shard(1, card.image_spec), content_type)
    response: Any = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status
    assert json.loads(response["OriginalMessage"])["error"]["code"]


def test_transform_job_answers_what_the_endpoint_answers(
    serving: StandIn, s3: FakeS3, card: ModelCard
) -> None:
    spec = card.image_spec
    content_type = f"application/x-npy; spec={spec.hash}"
    for count in (1, 2):
        s3.objects[f"shards/in/{count}.npy"] = shard(count, spec)
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://shards/in/"}
    serving.sagemaker.create_transform_job(
        TransformJobName="shards",
        ModelName="real",
        TransformInput={"ContentType": content_type, "DataSource": {"S3DataSource": source}},
        TransformOutput={"S3OutputPath": "s3://shards/out", "Accept": "application/json"},
        TransformResources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    )

    def status() -> str:
        job = serving.sagemaker.describe_transform_job(TransformJobName="shards")
        return str(job["TransformJobStatus"])

    assert until(lambda: status() != "InProgress" and status(), 60) == "Completed"
    outputs = {name: json.loads(content) for name, content in s3.outputs("shards/out/").items()}
    assert outputs["2.npy.out"][:1] == outputs["1.npy.out"]
    expected = answers(serving, shard(2, spec), content_type)
    assert [entry["label"] for entry in outputs["2.npy.out"]] == [e["label"] for e in expected]
