"""Models and endpoint configurations, as CreateModel and CreateEndpointConfig record them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from localcloud.sagemaker.errors import not_emulated, validation_exception
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.state import Record, State
from localcloud.sagemaker.storage import Storage, split_s3_uri

_ECR_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/\S+$")


class Models(Resources):
    """CreateModel, DescribeModel, DeleteModel."""

    noun, kind, words = "Model", "model", "model"

    def __init__(self, state: State, storage: Storage) -> None:
        super().__init__(state, state.models)
        self._storage = storage

    async def create(self, request: Record) -> Record:
        _check_image(request)
        _check_sources(request)
        url = model_data_url(request)
        if not await asyncio.to_thread(self._storage.exists, *split_s3_uri(url)):
            raise validation_exception(f"Could not find model data at {url}.")
        return {"ModelArn": self._add(request)["ModelArn"]}

    async def describe(self, request: Record) -> Record:
        """Returns the request's members, and those that SageMaker adds.

        As in an answer that AWS recorded (sagemaker-core, tests of `transform`): the archive's URL
        comes back as a ModelDataSource too.
        """
        model = await super().describe(request)
        container = model["PrimaryContainer"]
        source = {
            "S3Uri": model_data_url(model),
            "S3DataType": "S3Object",
            "CompressionType": "Gzip",
        }
        added = {"Mode": "SingleModel", "Environment": {}} | container
        added["ModelDataSource"] = {"S3DataSource": source}
        return {
            "EnableNetworkIsolation": False,
            "DeploymentRecommendation": {
                "RecommendationStatus": "COMPLETED",
                "RealTimeInferenceRecommendations": [],
            },
            **model,
            "PrimaryContainer": added,
        }


def _check_image(model: Record) -> None:
    """Refuses an image that is not in ECR, in AWS's own words (a record of a real account).

    The image's content, platform, size and the media type of its manifest cannot be known
    here: SageMaker refuses a manifest of OCI's type, and this stand-in does not.
    """
    container = model.get("PrimaryContainer", {})
    is_in_vpc = container.get("ImageConfig", {}).get("RepositoryAccessMode") == "Vpc"
    if not is_in_vpc and not _ECR_IMAGE.match(container.get("Image", "")):
        raise validation_exception(
            f'Using non-ECR image "{container.get("Image", "")}" without Vpc repository access '
            "mode is not supported."
        )


def _check_sources(model: Record) -> None:
    """Refuses two sources of model data. The words that AWS has for it are not known."""
    container = model.get("PrimaryContainer", {})
    if container.get("ModelDataUrl") and container.get("ModelDataSource"):
        raise validation_exception(
            "Both ModelDataUrl and ModelDataSource cannot be specified for one container."
        )


def model_data_url(model: Record) -> str:
    """The S3 URL of the model's archive; refuses models that are not one archive."""
    container = model.get("PrimaryContainer")
    if container is None or model.get("Containers"):
        raise not_emulated("models without exactly one PrimaryContainer")
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is not None and source.get("CompressionType") != "Gzip":
        raise not_emulated("ModelDataSource other than one gzip-compressed archive")
    url = container.get("ModelDataUrl") or (source or {}).get("S3Uri")
    if not url:
        raise not_emulated("models without ModelDataUrl")
    return str(url)


def model_environment(model: Record) -> dict[str, str]:
    """The environment variables of the model's container."""
    return dict(model["PrimaryContainer"].get("Environment", {}))


class EndpointConfigs(Resources):
    """CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig."""

    noun, kind, words = "EndpointConfig", "endpoint-config", "endpoint configuration"

    def __init__(self, state: State, models: Models) -> None:
        super().__init__(state, state.endpoint_configs)
        self._models = models

    async def create(self, request: Record) -> Record:
        self._check_variants(request)
        return {"EndpointConfigArn": self._add(request)["EndpointConfigArn"]}

    def _check_variants(self, request: Record) -> None:
        for member in ("ShadowProductionVariants", "AsyncInferenceConfig", "ExplainerConfig"):
            if request.get(member):
                raise not_emulated(member)
        variants = request["ProductionVariants"]
        if len(variants) != 1:
            raise not_emulated("endpoint configurations with several production variants")
        (variant,) = variants
        if not variant.get("ModelName"):
            raise not_emulated("production variants without ModelName (inference components)")
        self._models.get(variant["ModelName"])
        if "ServerlessConfig" in variant:
            _check_serverless_variant(variant)
        else:
            _check_instance_variant(variant)


def _check_serverless_variant(variant: Record) -> None:
    megabytes = variant["ServerlessConfig"]["MemorySizeInMB"]
    if megabytes % 1024:
        raise validation_exception(
            f"1 validation error detected: Value '{megabytes}' at 'memorySizeInMB' failed to "
            "satisfy constraint: Member must be in 1 GB increments: "
            "1024, 2048, 3072, 4096, 5120, 6144"
        )
    if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
        raise validation_exception(
            "InstanceType and InitialInstanceCount can not be set beside ServerlessConfig."
        )


def _check_instance_variant(variant: Record) -> None:
    for member in ("InstanceType", "InitialInstanceCount"):
        if not variant.get(member):
            raise validation_exception(
                f"{member} is required for a production variant without ServerlessConfig."
            )


def describe_variant(variant: Record) -> dict[str, Any]:
    """A production variant of a configuration as DescribeEndpoint shows it."""
    weight = variant.get("InitialVariantWeight", 1.0)
    shown: dict[str, Any] = {
        "VariantName": variant["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if "ServerlessConfig" in variant:
        shown["CurrentServerlessConfig"] = variant["ServerlessConfig"]
        shown["DesiredServerlessConfig"] = variant["ServerlessConfig"]
        shown["CurrentInstanceCount"] = 0
    else:
        shown["CurrentInstanceCount"] = variant["InitialInstanceCount"]
        shown["DesiredInstanceCount"] = variant["InitialInstanceCount"]
    return shown
