"""The model behind the endpoint: endpoint → its configuration → its model → the model's card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archive.card import ModelCard
from pipeline.adapters.service_errors import translate_errors
from registry.models_bucket import read_card

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True, slots=True)
class Serving:
    """SageMaker's descriptions of the endpoint's configuration and of its one variant's model."""

    config: Mapping[str, Any]
    model: Mapping[str, Any]

    @property
    def config_name(self) -> str:
        return str(self.config["EndpointConfigName"])

    @property
    def model_name(self) -> str:
        """SageMaker's name of the model."""
        return str(self.config["ProductionVariants"][0]["ModelName"])

    @property
    def model_data_url(self) -> str:
        return str(self.model["PrimaryContainer"]["ModelDataUrl"])

    @property
    def image(self) -> str:
        """The container image that serves the model."""
        return str(self.model["PrimaryContainer"]["Image"])

    @property
    def is_on_instances(self) -> bool:
        return "ServerlessConfig" not in self.config["ProductionVariants"][0]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model in use; bulk runs use it too."""

    serving: Serving
    card: ModelCard


def describe_serving(sagemaker: SageMakerClient, endpoint_name: str) -> Serving:
    """Finds the configuration and the model behind an endpoint.

    Raises:
        TransientError: SageMaker is busy or did not answer.
        ClientError: anything else, most often a missing endpoint.
    """
    with translate_errors():
        endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
        config = sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
        model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return Serving(config, model)


def served_model(sagemaker: SageMakerClient, s3: S3Client, endpoint_name: str) -> ServedModel:
    """Finds the model behind an endpoint and reads the card beside its archive.

    Raises:
        TransientError: a service is busy or did not answer.
        ClientError: anything else, most often a missing endpoint.
        ArchiveError: the card is malformed.
    """
    serving = describe_serving(sagemaker, endpoint_name)
    return ServedModel(serving, read_card(s3, serving.model_data_url))
