"""Endpoints: start their containers, switch them blue/green, keep them running, stop them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localcloud.sagemaker.artifacts import ArtifactError, Artifacts
from localcloud.sagemaker.container import Container, ContainerNotHealthyError
from localcloud.sagemaker.endpoint_updates import check_update, retain
from localcloud.sagemaker.errors import ServiceError, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.models import (
    EndpointConfigs,
    Models,
    describe_variant,
    model_data_url,
    model_environment,
)
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.state import Record, State, now

logger = logging.getLogger(__name__)

# "serverless-endpoints-invoke": model download and a good /ping within 3 minutes.
SERVERLESS_START_SECONDS = 180.0
# "your-algorithms-inference-code": 200 from /ping within the 8 minutes after startup.
INSTANCE_START_SECONDS = 480.0
DRAIN_SECONDS = 60.0
_HIDDEN = ("Variants", "PendingConfigName", "Retains")
_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "Deleting")


@dataclass(slots=True)
class Variant:
    """A running production variant, as InvokeEndpoint needs it."""

    name: str
    container: Container
    max_concurrency: int | None  # None: an instance, which queues instead of throttling
    in_flight: int = 0

    @property
    def serverless(self) -> bool:
        """Serverless variants throttle, and take smaller payloads."""
        return self.max_concurrency is not None


class Endpoints(Resources):
    """CreateEndpoint, UpdateEndpoint, DeleteEndpoint, DescribeEndpoint, ListEndpoints.

    A record in ``State.endpoints`` is the endpoint's description, ``PendingConfigName`` and
    ``Retains`` (RetainAllVariantProperties) of an update, and ``Variants``: the one variant that
    runs, with URL, folder and environment of its archive, so that deleting a model or a
    configuration does no harm, as on AWS.
    """

    noun, kind, words = "Endpoint", "endpoint", "endpoint"

    def __init__(
        self,
        state: State,
        models: Models,
        configs: EndpointConfigs,
        artifacts: Artifacts,
        quotas: Quotas,
    ) -> None:
        super().__init__(state, state.endpoints)
        self._models, self._configs, self._artifacts = models, configs, artifacts
        self._quotas = quotas
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, Variant] = {}

    async def create(self, request: Record) -> Record:
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        self._check_quotas(name, config_name)
        record = self._add(request, EndpointStatus="Creating", LastModifiedTime=now())
        self._begin(name, partial(self._deploy, name, config_name))
        return {"EndpointArn": record["EndpointArn"]}

    async def update(self, request: Record) -> Record:
        record = self.get(request["EndpointName"])
        arn = record["EndpointArn"]
        check_update(request)
        if record["EndpointStatus"] in _IN_PROGRESS:
            raise validation_exception(f'Cannot update in-progress endpoint "{arn}".')
        if record["EndpointStatus"] == "Failed":
            raise validation_exception(f'Cannot update failed endpoint "{arn}".')
        config_name = request["EndpointConfigName"]
        self._check_quotas(record["EndpointName"], config_name)
        record.pop("FailureReason", None)
        record["PendingConfigName"] = config_name
        record["Retains"] = request.get("RetainAllVariantProperties", False)
        self._set_status(record, "Updating")
        name = record["EndpointName"]
        self._begin(name, partial(self._deploy, name, config_name))
        return {"EndpointArn": arn}

    async def delete(self, request: Record) -> Record:
        record = self.get(request["EndpointName"])
        if record["EndpointStatus"] != "Deleting":
            self._set_status(record, "Deleting")
            self._begin(record["EndpointName"], partial(self._take_down, record))
        return {}

    async def describe(self, request: Record) -> Record:
        return _description(self.get(request["EndpointName"]))

    async def list_endpoints(self, request: Record) -> Record:
        members = (
            *("EndpointName", "EndpointArn", "CreationTime"),
            *("LastModifiedTime", "EndpointStatus"),
        )
        endpoints = self._records.values()
        return list_page(endpoints, request, noun="Endpoint", members=members)

    def running(self, name: str) -> Variant | None:
        """The variant that answers for this endpoint at the moment."""
        return self._running.get(name)

    def serves(self, name: str) -> bool:
        """Whether the endpoint has ever been in service and is not being deleted."""
        record = self._records.get(name)
        return (
            record is not None
            and "Variants" in record
            and record["EndpointStatus"] not in ("Deleting", "Failed")
        )

    def resume(self) -> None:
        """After a restart: start what ran before, and continue unfinished operations."""
        for name, record in self._records.items():
            if record["EndpointStatus"] == "Deleting":
                self._begin(name, partial(self._take_down, record))
            elif "Variants" in record:
                if record["EndpointStatus"] == "InService":
                    self._set_status(record, "SystemUpdating")
                self._begin(name, partial(self._bring_back, record))
            elif record["EndpointStatus"] == "Creating":
                self._begin(name, partial(self._deploy, name, record["EndpointConfigName"]))

    async def stop(self) -> None:
        """Stop all containers; the records stay, for ``resume``."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*(each.container.stop() for each in self._running.values()))
        self._running.clear()

    def model_dirs(self) -> set[Path]:
        """The archive folders that endpoints run from."""
        return {
            Path(variant["ModelDir"])
            for record in self._records.values()
            for variant in record.get("Variants", ())
        }

    def _check_quotas(self, name: str, config_name: str) -> None:
        (variant,) = self._configs.get(config_name)["ProductionVariants"]
        others = [
            each
            for other, record in self._records.items()
            if other != name
            for each in record.get("Variants", ())
        ]
        self._quotas.check_endpoint(variant, others)

    def _set_status(self, record: Record, status: str) -> None:
        record["EndpointStatus"] = status
        record["LastModifiedTime"] = now()
        self._state.save()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` for the endpoint, and cancel what still runs for it."""
        before = self._tasks.get(name)

        async def take_over() -> None:
            if before is not None:
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            await work()

        task = self._tasks[name] = asyncio.create_task(take_over())
        task.add_done_callback(_log_bug)

    async def _deploy(self, name: str, config_name: str) -> None:
        """Blue/green: the new variant is healthy before the old one is stopped."""
        record = self._records[name]

        async def bring_up() -> tuple[Record, Variant]:
            (configured,) = self._configs.get(config_name)["ProductionVariants"]
            variant = await self._resolve(retain(record, configured))
            return variant, await self._start(name, variant)

        started = await self._or_failure(record, bring_up)
        if started is None:
            return
        previous = self._running.get(name)
        variant, self._running[name] = started
        record.update(EndpointConfigName=config_name, Variants=[variant])
        record.pop("PendingConfigName", None)
        self._set_status(record, "InService")
        if previous is not None:
            await _drain(previous)
            await previous.container.stop()

    async def _bring_back(self, record: Record) -> None:
        name = record["EndpointName"]

        async def bring_up() -> tuple[Record, Variant]:
            variant = await self._restore(record["Variants"][0])
            return variant, await self._start(name, variant)

        started = await self._or_failure(record, bring_up)
        if started is None:
            return
        variant, self._running[name] = started
        record["Variants"] = [variant]
        if "PendingConfigName" in record:
            await self._deploy(name, record["PendingConfigName"])
        elif record["EndpointStatus"] == "SystemUpdating":
            self._set_status(record, "InService")

    async def _or_failure(
        self, record: Record, bring_up: Callable[[], Awaitable[tuple[Record, Variant]]]
    ) -> tuple[Record, Variant] | None:
        """The result of ``bring_up``; None, and the reason in the record, when it fails."""
        try:
            return await bring_up()
        except (ArtifactError, ContainerNotHealthyError, ServiceError) as error:
            record["FailureReason"] = _failure_reason(error)
        record.pop("PendingConfigName", None)
        still_serving = record["EndpointName"] in self._running
        self._set_status(record, "InService" if still_serving else "Failed")
        return None

    async def _take_down(self, record: Record) -> None:
        running = self._running.pop(record["EndpointName"], None)
        if running is not None:
            await running.container.stop()
        del self._records[record["EndpointName"]]
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

    async def _start(self, endpoint: str, variant: Record) -> Variant:
        name = variant["VariantName"]
        log_path = self._state.folder / "logs" / "Endpoints" / endpoint / f"{name}.log"
        container = Container(Path(variant["ModelDir"]), log_path, variant["Environment"])
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
    shown = {k: v for k, v in record.items() if k not in _HIDDEN}
    if "Variants" in record:
        shown["ProductionVariants"] = [describe_variant(v) for v in record["Variants"]]
    return shown


async def _drain(variant: Variant) -> None:
    """Wait until the calls that this variant has begun are answered: 60 s at most."""
    deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
    while variant.in_flight and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)


def _log_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("endpoint task failed", exc_info=error)
