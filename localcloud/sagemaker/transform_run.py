"""Runs one transform job: reads an object, asks the container, writes the ``.out`` object."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.container import Container
from localcloud.sagemaker.container_client import (
    Answer,
    ContainerAnswerTooLargeError,
    ContainerConnectionError,
)
from localcloud.sagemaker.faults import NO_FAULTS, Faults
from localcloud.sagemaker.storage import ObjectNotFoundError, ObjectTooLargeError, Storage
from localcloud.sagemaker.transform_input import (
    InputError,
    InputObject,
    input_pages,
    output_location,
)
from localcloud.sagemaker.transform_settings import MAX_PAYLOAD_MB, MEGABYTE, TransformSettings

logger = logging.getLogger(__name__)

RETRY_PAUSE_SECONDS = 0.2

_Ask = Callable[[bytes], Awaitable[Answer]]


class ObjectFailedError(Exception):
    """One object could not be transformed; ``kind`` is ClientError, AlgorithmError or
    InternalServerError as in a FailureReason."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class _Numbered:
    """An object and its number in the input's order, from 1."""

    number: int
    item: InputObject


@dataclass(slots=True)
class Outcome:
    """How many objects succeeded and failed; the first failure is the job's FailureReason."""

    succeeded: int = 0
    failed: int = 0
    first_failure: str | None = None


class TransformRun:
    """Transforms the input with ``settings.concurrency`` requests at a time.

    Memory: at most two payloads (object and answer) for each request, and one page of keys.
    """

    def __init__(
        self,
        request: dict[str, Any],
        settings: TransformSettings,
        container: Container,
        storage: Storage,
        log_path: Path,
    ) -> None:
        self._source = request["TransformInput"]["DataSource"]["S3DataSource"]
        self._output_path = request["TransformOutput"]["S3OutputPath"]
        self._settings, self._container, self._storage = settings, container, storage
        faults = request.get("Faults")
        self._faults = Faults.from_json(faults) if faults else NO_FAULTS
        self._log_path = log_path
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Transform every object.

        Raises:
            InputError: there is none, or they cannot be listed.
        """
        settings = self._settings
        self._log(
            f"MaxConcurrentTransforms={settings.max_concurrent_transforms}, "
            f"MaxPayloadInMB={settings.max_payload_mb}, BatchStrategy={settings.strategy}"
        )
        queue: asyncio.Queue[_Numbered | None] = asyncio.Queue(settings.concurrency)
        async with asyncio.TaskGroup() as group:
            for _ in range(settings.concurrency):
                group.create_task(self._work(queue))
            problem = await self._fill(queue)
            for _ in range(settings.concurrency):
                await queue.put(None)
        if problem is not None:
            raise problem
        if self._outcome.succeeded + self._outcome.failed == 0:
            raise InputError(_no_objects(self._source["S3Uri"]))
        return self._outcome

    async def _fill(self, queue: asyncio.Queue[_Numbered | None]) -> InputError | None:
        """Queue every object; an error of the listing is raised once all are done."""
        pages: Iterator[list[InputObject]] = input_pages(self._storage, self._source)
        numbers = itertools.count(1)
        try:
            while (page := await asyncio.to_thread(next, pages, None)) is not None:
                for item in page:
                    await queue.put(_Numbered(next(numbers), item))
        except InputError as error:
            return error
        except (ClientError, BotoCoreError, ObjectNotFoundError, ObjectTooLargeError) as error:
            return InputError(f"ClientError: Data download failed: {error}")
        return None

    async def _work(self, queue: asyncio.Queue[_Numbered | None]) -> None:
        while (numbered := await queue.get()) is not None:
            try:
                await self._transform(numbered)
            except ObjectFailedError as error:
                self._outcome.failed += 1
                self._outcome.first_failure = self._outcome.first_failure or error.kind
                self._log(f"{numbered.item.bucket}/{numbered.item.key}: {error}")
            else:
                self._outcome.succeeded += 1

    async def _transform(self, numbered: _Numbered) -> None:
        number, item = numbered.number, numbered.item
        payload = await self._read(item)
        ask = _fail_on_demand if number in self._faults.fail_objects else self._ask
        answer = await self._ask_with_retries(ask, payload)
        content = answer.body + (b"\n" if self._settings.assemble_with_line else b"")
        if number in self._faults.drop_outputs:
            return
        if number in self._faults.truncate_outputs:
            content = content[: len(content) // 2]
        bucket, key = output_location(self._output_path, item)
        try:
            await asyncio.to_thread(self._storage.write, bucket, key, content)
        except (ClientError, BotoCoreError) as error:
            raise ObjectFailedError("InternalServerError", f"upload: {error}") from error

    async def _read(self, item: InputObject) -> bytes:
        limit = self._settings.max_payload_bytes
        try:
            return await asyncio.to_thread(self._storage.read, item.bucket, item.key, limit)
        except ObjectTooLargeError as error:
            raise ObjectFailedError("ClientError", f"above MaxPayloadInMB: {error}") from error
        except ObjectNotFoundError as error:
            raise ObjectFailedError("ClientError", f"not found: {error}") from error
        except (ClientError, BotoCoreError) as error:
            raise ObjectFailedError("InternalServerError", f"download: {error}") from error

    async def _ask_with_retries(self, ask: _Ask, payload: bytes) -> Answer:
        """4xx is the object's fault and final; anything else is retried."""
        for attempt in range(self._settings.max_retries + 1):
            if attempt:
                await asyncio.sleep(RETRY_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                answer = await ask(payload)
            except (ContainerConnectionError, TimeoutError) as error:
                failure = f"Unable to get response from algorithm ({type(error).__name__})"
                continue
            if 200 <= answer.status < 300:
                return answer
            failure = f"{answer.status} {answer.body[:500].decode('utf-8', 'replace')}"
            if 400 <= answer.status < 500 and answer.status != 429:
                raise ObjectFailedError("ClientError", failure)
        raise ObjectFailedError("AlgorithmError", failure)

    async def _ask(self, payload: bytes) -> Answer:
        client = self._container.client
        if client is None:
            raise ContainerConnectionError("the container is starting again")
        try:
            return await client.request(
                "POST /invocations",
                headers=self._headers(),
                body=payload,
                max_answer_bytes=MAX_PAYLOAD_MB * MEGABYTE,
                timeout_seconds=self._settings.timeout_seconds,
            )
        except ContainerAnswerTooLargeError as error:
            raise ObjectFailedError("AlgorithmError", f"answer too large: {error}") from error

    def _headers(self) -> dict[str, str]:
        given = {"content-type": self._settings.content_type, "accept": self._settings.accept}
        return {name: value for name, value in given.items() if value}

    def _log(self, message: str) -> None:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        with self._log_path.open("a") as file:
            file.write(f"{moment}:[sagemaker logs]: {message}\n")


async def _fail_on_demand(_payload: bytes) -> Answer:
    return Answer(500, {}, b"fails because of faults.json")


def _no_objects(s3_uri: str) -> str:
    return (
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{s3_uri}" given in '
        "input data source. Please ensure that the bucket exists and that objects exist under "
        "that S3 prefix."
    )
