"""Shared by all kinds of resources: records by name, and jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, ClassVar

from localcloud.sagemaker.errors import ServiceError, validation_exception
from localcloud.sagemaker.state import Record, State, now

logger = logging.getLogger(__name__)

INTERNAL_ERROR = "InternalServerError: We encountered an internal error.  Please try again."


class Resources:
    """The records of one kind of resource, by name.

    Attributes:
        noun: the word its members begin with: ``Model`` for ``ModelName`` and ``ModelArn``.
        kind: its name in ARNs.
        words: its name in messages.
        hidden: members of records that Describe does not show.
    """

    noun: ClassVar[str]
    kind: ClassVar[str]
    words: ClassVar[str]
    hidden: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, state: State, records: dict[str, Record]) -> None:
        self._state, self._records = state, records

    def get(self, name: str) -> Record:
        """Return the record; raise SageMaker's own error when there is none."""
        if name not in self._records:
            raise self._not_found(name)
        return self._records[name]

    async def describe(self, request: Record) -> Record:
        record = self.get(request[f"{self.noun}Name"])
        return {name: value for name, value in record.items() if name not in self.hidden}

    async def delete(self, request: Record) -> Record:
        name = request[f"{self.noun}Name"]
        self.get(name)
        del self._records[name]
        self._state.save()
        return {}

    def _add(self, request: Record, **members: Any) -> Record:
        """Record and save a new resource. Tags are accepted and not stored.

        Raises:
            ServiceError: the name is taken.
        """
        name = request[f"{self.noun}Name"]
        self._require_new(name)
        record = {key: value for key, value in request.items() if key != "Tags"}
        record |= {f"{self.noun}Arn": self._arn(name), "CreationTime": now(), **members}
        self._records[name] = record
        self._state.save()
        return record

    def _require_new(self, name: str) -> None:
        if name in self._records:
            raise self._already_exists(self._arn(name))

    def _arn(self, name: str) -> str:
        return self._state.identity.arn(self.kind, name)

    def _already_exists(self, arn: str) -> ServiceError:
        return validation_exception(f'Cannot create already existing {self.words} "{arn}".')

    def _not_found(self, name: str) -> ServiceError:
        return validation_exception(f'Could not find {self.words} "{self._arn(name)}".')


class Jobs(Resources):
    """Jobs, each a task of this process; their names are unique for ever."""

    def __init__(self, state: State, records: dict[str, Record]) -> None:
        super().__init__(state, records)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        """Stop all tasks; their jobs stay InProgress and are resumed after a restart."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, record: Record, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[record[f"{self.noun}Name"]] = asyncio.create_task(work)
        task.add_done_callback(partial(self._finished, record))

    def _finished(self, record: Record, task: asyncio.Task[None]) -> None:
        name = record[f"{self.noun}Name"]
        del self._tasks[name]
        if task.cancelled():
            if record[f"{self.noun}Status"] == "Stopping":
                self._end(record, "Stopped")
        elif (error := task.exception()) is not None:
            logger.error("%s %s failed", self.words, name, exc_info=error)
            self._end(record, "Failed", INTERNAL_ERROR)

    def _end(self, record: Record, status: str, reason: str | None = None) -> None:
        """Record how the job ended."""
        raise NotImplementedError

    def _in_progress(self, name: str) -> Record:
        """Return the record of a job that can be stopped; raise SageMaker's error otherwise."""
        record = self.get(name)
        status = record[f"{self.noun}Status"]
        if status != "InProgress":
            raise validation_exception(
                f"The request was rejected because the {self.words} is in status {status}."
            )
        return record

    def _already_exists(self, arn: str) -> ServiceError:
        return ServiceError(
            "ResourceInUse",
            "Job name must be unique within an AWS account and region, and a job with this "
            f"name already exists ({arn})",
        )
