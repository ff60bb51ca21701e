"""Models and endpoint configurations: what CreateModel and CreateEndpointConfig remember."""

from __future__ import annotations

import asyncio
from typing import Any

from localcloud.sagemaker.errors import not_emulated, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.state import Record, now
from localcloud.sagemaker.storage import Storage, split_s3_uri


class Models:
    """CreateModel, DescribeModel, DeleteModel, ListModels."""

    def __init__(self, registry: Registry, storage: Storage) -> None:
        self._state, self._identity, self._tags = registry.state, registry.identity, registry.tags
        self._storage = storage

    async def create(self, request: Record) -> Record:
        name = request["ModelName"]
        arn = self._identity.arn("model", name)
        url = model_data_url(request)
        if not await asyncio.to_thread(self._storage.exists, *split_s3_uri(url)):
            raise validation_exception(f"Could not find model data at {url}.")
        # After the await, so that of two requests at once only one finds the name free.
        if name in self._state.models:
            raise validation_exception(f'Cannot create already existing model "{arn}".')
        record = {**request, "ModelArn": arn, "CreationTime": now()}
        self._tags.put(arn, record.pop("Tags", []))
        self._state.models[name] = record
        self._state.save()
        return {"ModelArn": arn}

    async def describe(self, request: Record) -> Record:
        return self.get(request["ModelName"])

    async def delete(self, request: Record) -> Record:
        record = self.get(request["ModelName"])
        del self._state.models[record["ModelName"]]
        self._tags.drop(record["ModelArn"])
        self._state.save()
        return {}

    async def list_models(self, request: Record) -> Record:
        members = ("ModelName", "ModelArn", "CreationTime")
        return list_page(self._state.models.values(), request, noun="Model", members=members)

    def get(self, name: str) -> Record:
        """The model's description; SageMaker's own error when there is none."""
        if name not in self._state.models:
            arn = self._identity.arn("model", name)
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
    """CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig, ListEndpointConfigs."""

    def __init__(self, registry: Registry, models: Models) -> None:
        self._state, self._identity, self._tags = registry.state, registry.identity, registry.tags
        self._models = models

    async def create(self, request: Record) -> Record:
        name = request["EndpointConfigName"]
        arn = self._identity.arn("endpoint-config", name)
        if name in self._state.endpoint_configs:
            raise validation_exception(
                f'Cannot create already existing endpoint configuration "{arn}".'
            )
        self._check_variants(request)
        record = {**request, "EndpointConfigArn": arn, "CreationTime": now()}
        self._tags.put(arn, record.pop("Tags", []))
        self._state.endpoint_configs[name] = record
        self._state.save()
        return {"EndpointConfigArn": arn}

    async def describe(self, request: Record) -> Record:
        return self.get(request["EndpointConfigName"])

    async def delete(self, request: Record) -> Record:
        record = self.get(request["EndpointConfigName"])
        del self._state.endpoint_configs[record["EndpointConfigName"]]
        self._tags.drop(record["EndpointConfigArn"])
        self._state.save()
        return {}

    async def list_configs(self, request: Record) -> Record:
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        configs = self._state.endpoint_configs.values()
        return list_page(configs, request, noun="EndpointConfig", members=members)

    def get(self, name: str) -> Record:
        """The configuration's description; SageMaker's own error when there is none."""
        if name not in self._state.endpoint_configs:
            arn = self._identity.arn("endpoint-config", name)
            raise validation_exception(f'Could not find endpoint configuration "{arn}".')
        return self._state.endpoint_configs[name]

    def _check_variants(self, request: Record) -> None:
        for member in ("ShadowProductionVariants", "AsyncInferenceConfig", "ExplainerConfig"):
            if request.get(member):
                raise not_emulated(member)
        variants = request["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            raise validation_exception("Variant names within an endpoint config must be unique.")
        for variant in variants:
            self._check_variant(variant, alone=len(variants) == 1)

    def _check_variant(self, variant: Record, *, alone: bool) -> None:
        if not variant.get("ModelName"):
            raise not_emulated("production variants without ModelName (inference components)")
        self._models.get(variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless is None:
            _check_instance_variant(variant)
            return
        if not alone:
            raise validation_exception(
                "Serverless endpoints do not support multiple production variants."
            )
        if serverless["MemorySizeInMB"] % 1024:
            raise validation_exception(
                "1 validation error detected: Value "
                f"'{serverless['MemorySizeInMB']}' at 'memorySizeInMB' failed to satisfy "
                "constraint: Member must be in 1 GB increments: 1024, 2048, 3072, 4096, 5120, 6144"
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
