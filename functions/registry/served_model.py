"""Which model answers behind the endpoint now: the one that bulk runs use too."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imaging import ImageSpec
from pipeline.adapters.service_errors import transient_errors_named

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True, slots=True)
class ServedModel:
    """``identity`` is the record's name of it, ``sagemaker_model`` SageMaker's."""

    identity: str
    sagemaker_model: str
    image_spec: ImageSpec
    labels: tuple[str, ...]  # everything that it can answer, its gate's label last
    model_data_url: str


def served_model(sagemaker: SageMakerClient, s3: S3Client, endpoint_name: str) -> ServedModel:
    """Endpoint → its configuration → its model → the card beside the model's archive.

    Raises:
        TransientError: a service is busy or did not answer.
        ClientError: anything else, a missing endpoint above all.
    """
    with transient_errors_named():
        endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
        config = sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
        name = config["ProductionVariants"][0]["ModelName"]
        model = sagemaker.describe_model(ModelName=name)
        archive = model["PrimaryContainer"]["ModelDataUrl"]
        bucket, _, key = archive.removeprefix("s3://").partition("/")
        card_key = f"{key.rpartition('/')[0]}/model.json"
        with closing(s3.get_object(Bucket=bucket, Key=card_key)["Body"]) as body:
            card = json.loads(body.read())
    gate = [card["gate"]["label"]] if card["gate"] else []
    return ServedModel(
        identity=f"{card['name']}@{card['version']}",
        sagemaker_model=name,
        image_spec=ImageSpec.from_json(card["image_spec"]),
        labels=(*card["labels"], *gate),
        model_data_url=archive,
    )
