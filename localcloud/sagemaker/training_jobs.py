"""CreateTrainingJob, DescribeTrainingJob, StopTrainingJob."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Sequence
from functools import partial

from localcloud.sagemaker.errors import ServiceError, validation_exception
from localcloud.sagemaker.state import Record, State, now, without_tags
from localcloud.sagemaker.storage import Storage, wait_until_answering
from localcloud.sagemaker.training_events import TrainingEvents
from localcloud.sagemaker.training_layout import OptMl
from localcloud.sagemaker.training_log import JobLog, LogService
from localcloud.sagemaker.training_requests import check_training
from localcloud.sagemaker.training_run import Ended, Surroundings, TrainingRun, output_folder

logger = logging.getLogger(__name__)

UNDER_WAY = ("InProgress", "Stopping")
_HIDDEN = frozenset({"TunedHyperParameters", "LogStream"})
_INTERNAL = "InternalServerError: We encountered an internal error.  Please try again."


class TrainingJobs:
    """Jobs run as processes of this installation's Python, as many at once as there are cores.

    A job that was running when the stand-in ended is run again from its beginning; with
    checkpoints it continues from those, as after a spot interruption.
    """

    def __init__(
        self, state: State, storage: Storage, logs: LogService, events: TrainingEvents
    ) -> None:
        self._state = state
        self._storage, self._logs, self._events = storage, logs, events
        self._announcements: set[asyncio.Task[None]] = set()
        self._machines = asyncio.Semaphore(os.cpu_count() or 1)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, TrainingRun] = {}

    async def create(self, request: Record) -> Record:
        check_training(request, request.get("HyperParameters", {}))
        return {"TrainingJobArn": self.begin(request)["TrainingJobArn"]}

    def begin(self, request: Record) -> Record:
        """Start a job from a checked request and return its record.

        Raises:
            ServiceError: there is a job of this name already.
        """
        name = request["TrainingJobName"]
        arn = self._state.identity.arn("training-job", name)
        if name in self._state.training_jobs:
            raise ServiceError(
                "ResourceInUse",
                "Job name must be unique within an AWS account and region, and a job with this "
                f"name already exists ({arn})",
            )
        created = now()
        record = {
            **without_tags(request),
            "TrainingJobArn": arn,
            "TrainingJobStatus": "InProgress",
            "CreationTime": created,
            "ModelArtifacts": {"S3ModelArtifacts": f"{output_folder(request)}/output/model.tar.gz"},
            "SecondaryStatusTransitions": [],
            "FinalMetricDataList": [],
            "LogStream": f"{name}/algo-1-{round(created)}",
        }
        self._state.training_jobs[name] = record
        self._note(record, "Starting")
        self._start(record)
        return record

    async def describe(self, request: Record) -> Record:
        record = self._get(request["TrainingJobName"])
        return {name: value for name, value in record.items() if name not in _HIDDEN}

    async def stop_job(self, request: Record) -> Record:
        record = self._get(request["TrainingJobName"])
        status = record["TrainingJobStatus"]
        if status != "InProgress":
            raise validation_exception(
                f"The request was rejected because the training job is in status {status}."
            )
        self.interrupt(record)
        return {}

    def interrupt(self, record: Record) -> None:
        """Stop a job that is in progress."""
        record["TrainingJobStatus"] = "Stopping"
        self._note(record, "Stopping")
        name = record["TrainingJobName"]
        if name in self._runs:
            self._runs[name].stop()
        else:  # it waits for a machine
            self._tasks[name].cancel()

    async def first_end(self, names: Sequence[str]) -> None:
        """Return once one of these jobs has ended."""
        if all(name in self._tasks for name in names):
            await asyncio.wait(
                {self._tasks[name] for name in names}, return_when=asyncio.FIRST_COMPLETED
            )

    def resume(self) -> None:
        """After a restart: run unfinished jobs again, finish those that were being stopped."""
        for record in self._state.training_jobs.values():
            if record["TrainingJobStatus"] == "Stopping":
                self._end(record, Ended("Stopped", "Stopped"))
            elif record["TrainingJobStatus"] == "InProgress":
                self._note(record, "Restarting")
                self._start(record, storage_may_be_starting=True)

    async def stop(self) -> None:
        """Stop all jobs; they stay InProgress, for ``resume``."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*self._announcements)

    def _get(self, name: str) -> Record:
        if name not in self._state.training_jobs:
            raise validation_exception("Requested resource not found.")
        return self._state.training_jobs[name]

    def _start(self, record: Record, *, storage_may_be_starting: bool = False) -> None:
        name = record["TrainingJobName"]
        running = self._run(record, storage_may_be_starting=storage_may_be_starting)
        task = self._tasks[name] = asyncio.create_task(running)
        task.add_done_callback(partial(self._finished, record))

    async def _run(self, record: Record, *, storage_may_be_starting: bool) -> None:
        name = record["TrainingJobName"]
        async with self._machines:
            if storage_may_be_starting:
                await wait_until_answering(self._storage)
            record["TrainingStartTime"] = now()
            log = JobLog(
                self._state.folder / "logs" / "TrainingJobs" / f"{name}.log",
                self._logs,
                record["LogStream"],
                record["AlgorithmSpecification"].get("MetricDefinitions", []),
            )
            run = self._runs[name] = TrainingRun(
                record,
                Surroundings(
                    OptMl(self._state.folder / "training" / name),
                    self._storage,
                    log,
                    self._state.identity.region,
                ),
                on_status=partial(self._note, record),
            )
            ended = await run.run()
        record["FinalMetricDataList"] = list(log.metrics.values())
        self._end(record, ended)

    def _finished(self, record: Record, task: asyncio.Task[None]) -> None:
        name = record["TrainingJobName"]
        del self._tasks[name]
        self._runs.pop(name, None)
        if task.cancelled():
            if record["TrainingJobStatus"] == "Stopping":
                self._end(record, Ended("Stopped", "Stopped"))
        elif (error := task.exception()) is not None:
            logger.error("training job %s failed", name, exc_info=error)
            self._end(record, Ended("Failed", "Failed", _INTERNAL))

    def _note(self, record: Record, secondary: str) -> None:
        """Record the next step of SecondaryStatus."""
        moment = now()
        transitions = record["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1].setdefault("EndTime", moment)
        transitions.append({"Status": secondary, "StartTime": moment})
        record["SecondaryStatus"] = secondary
        record["LastModifiedTime"] = moment
        self._state.save()

    def _end(self, record: Record, ended: Ended) -> None:
        record["TrainingJobStatus"] = ended.status
        record["TrainingEndTime"] = moment = now()
        if "TrainingStartTime" in record:
            seconds = max(1, math.ceil(moment - record["TrainingStartTime"]))
            record["TrainingTimeInSeconds"] = record["BillableTimeInSeconds"] = seconds
        if ended.reason is not None:
            record["FailureReason"] = ended.reason
        self._note(record, ended.secondary)
        record["SecondaryStatusTransitions"][-1]["EndTime"] = moment
        self._state.save()
        self._announce(record)

    def _announce(self, record: Record) -> None:
        """Send the event in the background: no job waits for EventBridge."""
        description = {name: value for name, value in record.items() if name not in _HIDDEN}
        task = asyncio.create_task(self._events.announce(description))
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)
