"""`imagedrop models` shows which model is really in use."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.commands import models
from imagedrop.target import Target
from imagedrop.target_name import TargetName
from registry.promotions import Promotion, Promotions
from tests.model_archives import IMAGE_SPEC, card


def archive(name: str) -> str:
    return f"s3://models/models/{name}/model.tar.gz"


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A stack that serves its default model; another one is in the bucket."""
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        s3, sagemaker = session.client("s3"), session.client("sagemaker")
        s3.create_bucket(Bucket="models")
        for name in ("default", "new"):
            body = json.dumps(card(name=name)).encode()
            s3.put_object(Bucket="models", Key=f"models/{name}/model.json", Body=body)
        sagemaker.create_model(
            ModelName="serving",
            ExecutionRoleArn="arn:aws:iam::123456789012:role/serving",
            PrimaryContainer={"Image": "serving:1", "ModelDataUrl": archive("default")},
        )
        serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
        variant = {"VariantName": "AllTraffic", "ModelName": "serving"}
        sagemaker.create_endpoint_config(
            EndpointConfigName="serving",
            ProductionVariants=[{**variant, "ServerlessConfig": serverless}],
        )
        sagemaker.create_endpoint(EndpointName="serving", EndpointConfigName="serving")
        outputs = {
            "EndpointName": "serving",
            "ModelsBucketName": "models",
            "DefaultModelDataUrl": archive("default"),
        }
        found = Target(session, outputs)

        def find(_name: TargetName) -> Target:
            return found

        monkeypatch.setattr(models, "find_target", find)
        yield found


def listing() -> str:
    """The output in one line: the table may wrap."""
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_promoted_model_that_no_longer_answers_is_named_with_the_way_back(target: Target) -> None:
    # An update of the stack that is rolled back restores the endpoint of the template.
    promoted = Promotion("new@7", archive("new"), dict(IMAGE_SPEC), "2026-01-01T00:00:00.000Z")
    target.models_bucket().write_promotions(Promotions((promoted,)))

    said = listing()
    assert "default@7 answers now, although new@7 was promoted last" in said
    assert "imagedrop promote new --version 7" in said


def test_a_model_that_was_never_promoted_is_named(target: Target) -> None:
    target.outputs["DefaultModelDataUrl"] = archive("new")
    assert "default@7 answers now, but no promotion is recorded" in listing()


@pytest.mark.usefixtures("target")
def test_nothing_is_said_while_the_right_model_answers() -> None:
    assert "promot" not in listing()
