"""Endpoints: containers brought up, switched blue/green, kept up, taken down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localcloud.sagemaker.artifacts import ArtifactError, Artifacts
from localcloud.sagemaker.container import Container, ContainerNotHealthyError, ContainerSpec
from localcloud.sagemaker.errors import ServiceError, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.models import (
    EndpointConfigs,
    Models,
    describe_variant,
    model_data_url,
    model_environment,
)
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.state import Record, now

logger = logging.getLogger(__name__)

# "serverless-endpoints-invoke": model download and a good /ping within 3 minutes.
SERVERLESS_START_SECONDS = 180.0
# "your-algorithms-inference-code": 200 from /ping within the 8 minutes after startup.
INSTANCE_START_SECONDS = 480.0
DRAIN_SECONDS = 60.0
_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "Deleting")


@dataclass(slots=True)
class Variant:
    """A running production variant, as InvokeEndpoint needs it."""

    name: str
    container: Container
    weight: float
    max_concurrency: int | None  # None: an instance, which queues instead of throttling
    in_flight: int = 0

    @property
    def serverless(self) -> bool:
        """Serverless variants throttle, and take smaller payloads."""
        return self.max_concurrency is not None


class Endpoints:
    """CreateEndpoint, UpdateEndpoint, DeleteEndpoint, DescribeEndpoint, ListEndpoints.

    A record in ``State.endpoints`` is the endpoint's description beside ``Variants`` (what runs:
    the configuration's variants with URL, folder and environment of their archives, so that
    deleting a model or a configuration does no harm, as on AWS) and ``PendingConfigName``.
    """

    def __init__(
        self,
        registry: Registry,
        models: Models,
        configs: EndpointConfigs,
        artifacts: Artifacts,
    ) -> None:
        self._state, self._identity, self._tags = registry.state, registry.identity, registry.tags
        self._models, self._configs, self._artifacts = models, configs, artifacts
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.running: dict[str, list[Variant]] = {}

    async def create(self, request: Record) -> Record:
        name = request["EndpointName"]
        arn = self._identity.arn("endpoint", name)
        if name in self._state.endpoints:
            raise validation_exception(f'Cannot create already existing endpoint "{arn}".')
        self._configs.get(request["EndpointConfigName"])
        self._state.endpoints[name] = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        self._tags.put(arn, request.get("Tags", []))
        self._state.save()
        self._begin(name, partial(self._deploy, name, request["EndpointConfigName"]))
        return {"EndpointArn": arn}

    async def update(self, request: Record) -> Record:
        record = self._get(request["EndpointName"])
        arn = record["EndpointArn"]
        if record["EndpointStatus"] in _IN_PROGRESS:
            raise validation_exception(f'Cannot update in-progress endpoint "{arn}".')
        if record["EndpointStatus"] == "Failed":
            raise validation_exception(f'Cannot update failed endpoint "{arn}".')
        config_name = request["EndpointConfigName"]
        self._configs.get(config_name)
        record.pop("FailureReason", None)
        record["PendingConfigName"] = config_name
        self._set_status(record, "Updating")
        name = record["EndpointName"]
        self._begin(name, partial(self._deploy, name, config_name))
        return {"EndpointArn": arn}

    async def delete(self, request: Record) -> Record:
        record = self._get(request["EndpointName"])
        if record["EndpointStatus"] != "Deleting":
            self._set_status(record, "Deleting")
            self._begin(record["EndpointName"], partial(self._take_down, record))
        return {}

    async def describe(self, request: Record) -> Record:
        return _description(self._get(request["EndpointName"]))

    async def list_endpoints(self, request: Record) -> Record:
        members = (
            *("EndpointName", "EndpointArn", "CreationTime"),
            *("LastModifiedTime", "EndpointStatus"),
        )
        endpoints = self._state.endpoints.values()
        return list_page(endpoints, request, noun="Endpoint", members=members)

    def serves(self, name: str) -> bool:
        """Whether the endpoint has ever been in service and is not on its way out."""
        record = self._state.endpoints.get(name)
        return (
            record is not None
            and "Variants" in record
            and record["EndpointStatus"] not in ("Deleting", "Failed")
        )

    def resume(self) -> None:
        """After a restart: bring back what ran, and go on with what was under way."""
        for name, record in self._state.endpoints.items():
            if record["EndpointStatus"] == "Deleting":
                self._begin(name, partial(self._take_down, record))
            elif "Variants" in record:
                if record["EndpointStatus"] == "InService":
                    self._set_status(record, "SystemUpdating")
                self._begin(name, partial(self._bring_back, record))
            elif record["EndpointStatus"] == "Creating":
                self._begin(name, partial(self._deploy, name, record["EndpointConfigName"]))

    async def stop(self) -> None:
        """End all containers; the records stay, for ``resume``."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        variants = [variant for group in self.running.values() for variant in group]
        self.running.clear()
        await _stop_all(variants)

    def model_dirs(self) -> set[Path]:
        """The archive folders that endpoints run from."""
        return {
            Path(variant["ModelDir"])
            for record in self._state.endpoints.values()
            for variant in record.get("Variants", ())
        }

    def _get(self, name: str) -> Record:
        if name not in self._state.endpoints:
            arn = self._identity.arn("endpoint", name)
            raise validation_exception(f'Could not find endpoint "{arn}".')
        return self._state.endpoints[name]

    def _set_status(self, record: Record, status: str) -> None:
        record["EndpointStatus"] = status
        record["LastModifiedTime"] = now()
        self._state.save()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` for the endpoint, instead of whatever is still under way for it."""
        before = self._tasks.get(name)

        async def take_over() -> None:
            if before is not None:
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            await work()

        task = self._tasks[name] = asyncio.create_task(take_over())
        task.add_done_callback(_log_bug)

    async def _deploy(self, name: str, config_name: str) -> None:
        """Blue/green: the new variants are healthy before the old ones go."""
        record = self._state.endpoints[name]
        started: list[Variant] = []

        async def bring_up() -> list[Record]:
            config = self._configs.get(config_name)
            variants = [await self._resolve(v) for v in config["ProductionVariants"]]
            started.extend(await self._start_all(name, variants))
            return variants

        variants = await self._or_failure(record, bring_up)
        if variants is None:
            return
        previous = self.running.get(name, [])
        self.running[name] = started
        record.update(EndpointConfigName=config_name, Variants=variants)
        record.pop("PendingConfigName", None)
        self._set_status(record, "InService")
        await _drain(previous)
        await _stop_all(previous)

    async def _bring_back(self, record: Record) -> None:
        name = record["EndpointName"]

        async def bring_up() -> list[Record]:
            variants = [await self._restore(variant) for variant in record["Variants"]]
            self.running[name] = await self._start_all(name, variants)
            return variants

        variants = await self._or_failure(record, bring_up)
        if variants is None:
            return
        record["Variants"] = variants
        if "PendingConfigName" in record:
            await self._deploy(name, record["PendingConfigName"])
        elif record["EndpointStatus"] == "SystemUpdating":
            self._set_status(record, "InService")

    async def _or_failure(
        self, record: Record, bring_up: Callable[[], Awaitable[list[Record]]]
    ) -> list[Record] | None:
        """None, and the reason in the record, when the containers can not be brought up."""
        try:
            return await bring_up()
        except (ArtifactError, ContainerNotHealthyError, ServiceError) as error:
            record["FailureReason"] = _failure_reason(error)
        record.pop("PendingConfigName", None)
        still_serving = record["EndpointName"] in self.running
        self._set_status(record, "InService" if still_serving else "Failed")
        return None

    async def _take_down(self, record: Record) -> None:
        await _stop_all(self.running.pop(record["EndpointName"], []))
        del self._state.endpoints[record["EndpointName"]]
        self._tags.drop(record["EndpointArn"])
        self._state.save()

    async def _resolve(self, variant: Record) -> Record:
        """A configuration's variant with everything that is needed to run it again."""
        model = self._models.get(variant["ModelName"])
        url = model_data_url(model)
        folder = await asyncio.to_thread(self._artifacts.fetch, url)
        return {
            **variant,
            "ModelDataUrl": url,
            "ModelDir": str(folder),
            "Environment": model_environment(model),
        }

    async def _restore(self, variant: Record) -> Record:
        if Path(variant["ModelDir"]).exists():
            return variant
        folder = await asyncio.to_thread(self._artifacts.fetch, variant["ModelDataUrl"])
        return {**variant, "ModelDir": str(folder)}

    async def _start_all(self, endpoint: str, variants: list[Record]) -> list[Variant]:
        started: list[Variant] = []
        try:
            for variant in variants:
                started.append(await self._start(endpoint, variant))
        except BaseException:
            await _stop_all(started)
            raise
        return started

    async def _start(self, endpoint: str, variant: Record) -> Variant:
        name = variant["VariantName"]
        log_path = self._state.folder / "logs" / "Endpoints" / endpoint / f"{name}.log"
        container = Container(
            ContainerSpec(Path(variant["ModelDir"]), log_path, variant["Environment"])
        )
        serverless = variant.get("ServerlessConfig")
        default = SERVERLESS_START_SECONDS if serverless else INSTANCE_START_SECONDS
        timeout = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", default)
        try:
            await container.start(timeout)
        except ContainerNotHealthyError as error:
            raise ContainerNotHealthyError(name) from error
        return Variant(
            name=name,
            container=container,
            weight=variant.get("InitialVariantWeight", 1.0),
            max_concurrency=serverless["MaxConcurrency"] if serverless else None,
        )


def _failure_reason(error: Exception) -> str:
    if isinstance(error, ContainerNotHealthyError):
        return (
            f"The primary container for production variant {error} did not pass the ping health "
            "check. Please check CloudWatch logs for this endpoint."
        )
    return str(error)


def _description(record: Record) -> Record:
    shown = {k: v for k, v in record.items() if k not in ("Variants", "PendingConfigName")}
    if "Variants" in record:
        shown["ProductionVariants"] = [describe_variant(v) for v in record["Variants"]]
    return shown


async def _drain(variants: list[Variant]) -> None:
    """Wait until what the old fleet has begun is answered: a call takes 60 s at most."""
    deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
    while any(v.in_flight for v in variants) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)


async def _stop_all(variants: list[Variant]) -> None:
    await asyncio.gather(*(variant.container.stop() for variant in variants))


def _log_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("endpoint task failed", exc_info=error)
