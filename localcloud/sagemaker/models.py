"""Models and endpoint configurations, as CreateModel and CreateEndpointConfig record them."""

from __future__ import annotations

import asyncio
from typing import Any

from localcloud.sagemaker.errors import not_emulated, validation_exception
from localcloud.sagemaker.state import Record, State, now, without_tags
from localcloud.sagemaker.storage import Storage, split_s3_uri


class Models:
    """CreateModel, DescribeModel, DeleteModel."""

    def __init__(self, state: State, storage: Storage) -> None:
        self._state, self._storage = state, storage

    async def create(self, request: Record) -> Record:
        name = request["ModelName"]
        arn = self._state.identity.arn("model", name)
        url = model_data_url(request)
        if not await asyncio.to_thread(self._storage.exists, *split_s3_uri(url)):
            raise validation_exception(f"Could not find model data at {url}.")
        # After the await, so that of two requests at once only one finds the name free.
        if name in self._state.models:
            raise validation_exception(f'Cannot create already existing model "{arn}".')
        self._state.models[name] = {
            **without_tags(request),
            "ModelArn": arn,
            "CreationTime": now(),
        }
        self._state.save()
        return {"ModelArn": arn}

    async def describe(self, request: Record) -> Record:
        return self.get(request["ModelName"])

    async def delete(self, request: Record) -> Record:
        del self._state.models[self.get(request["ModelName"])["ModelName"]]
        self._state.save()
        return {}

    def get(self, name: str) -> Record:
        """The model's description; SageMaker's own error when there is none."""
        if name not in self._state.models:
            arn = self._state.identity.arn("model", name)
            raise validation_exception(f'Could not find model "{arn}".')
        return self._state.models[name]


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


class EndpointConfigs:
    """CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig."""

    def __init__(self, state: State, models: Models) -> None:
        self._state, self._models = state, models

    async def create(self, request: Record) -> Record:
        name = request["EndpointConfigName"]
        arn = self._state.identity.arn("endpoint-config", name)
        if name in self._state.endpoint_configs:
            raise validation_exception(
                f'Cannot create already existing endpoint configuration "{arn}".'
            )
        self._check_variants(request)
        self._state.endpoint_configs[name] = {
            **without_tags(request),
            "EndpointConfigArn": arn,
            "CreationTime": now(),
        }
        self._state.save()
        return {"EndpointConfigArn": arn}

    async def describe(self, request: Record) -> Record:
        return self.get(request["EndpointConfigName"])

    async def delete(self, request: Record) -> Record:
        name = self.get(request["EndpointConfigName"])["EndpointConfigName"]
        del self._state.endpoint_configs[name]
        self._state.save()
        return {}

    def get(self, name: str) -> Record:
        """The configuration's description; SageMaker's own error when there is none."""
        if name not in self._state.endpoint_configs:
            arn = self._state.identity.arn("endpoint-config", name)
            raise validation_exception(f'Could not find endpoint configuration "{arn}".')
        return self._state.endpoint_configs[name]

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
