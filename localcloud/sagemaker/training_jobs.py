"""CreateTrainingJob, DescribeTrainingJob, StopTrainingJob."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Sequence
from functools import partial

from localcloud.sagemaker.errors import ServiceError, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import Jobs
from localcloud.sagemaker.state import Record, State, now
from localcloud.sagemaker.storage import Storage, wait_until_answering
from localcloud.sagemaker.training_events import TrainingEvents
from localcloud.sagemaker.training_layout import OptMl
from localcloud.sagemaker.training_log import JobLog, LogService
from localcloud.sagemaker.training_requests import check_training
from localcloud.sagemaker.training_run import Surroundings, TrainingRun, output_folder

logger = logging.getLogger(__name__)

_SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime"),
    *("LastModifiedTime", "TrainingJobStatus"),
)
UNDER_WAY = ("InProgress", "Stopping")


class TrainingJobs(Jobs):
    """Jobs run as processes of this installation's Python, as many at once as there are cores.

    A job that was running when the stand-in ended is run again from its beginning; with
    checkpoints it continues from those, as after a spot interruption.
    """

    noun, kind, words = "TrainingJob", "training-job", "training job"
    hidden = frozenset({"TunedHyperParameters", "LogStream"})

    def __init__(
        self,
        state: State,
        storage: Storage,
        logs: LogService,
        events: TrainingEvents,
        quotas: Quotas,
    ) -> None:
        super().__init__(state, state.training_jobs)
        self._quotas = quotas
        self._storage, self._logs, self._events = storage, logs, events
        self._announcements: set[asyncio.Task[None]] = set()
        self._machines = asyncio.Semaphore(os.cpu_count() or 1)
        self._runs: dict[str, TrainingRun] = {}

    async def create(self, request: Record) -> Record:
        check_training(request, request.get("HyperParameters", {}))
        self.check_quota(request)
        return {"TrainingJobArn": self.begin(request)["TrainingJobArn"]}

    def check_quota(self, request: Record) -> None:
        """Refuses a job's machine, or that of a search's trials, when it is over the quota."""
        kind = request["ResourceConfig"]["InstanceType"]
        is_spot = request.get("EnableManagedSpotTraining", False)
        in_use = sum(
            each["ResourceConfig"]["InstanceCount"]
            for each in self._records.values()
            if each["TrainingJobStatus"] in UNDER_WAY
            and each["ResourceConfig"]["InstanceType"] == kind
            and each.get("EnableManagedSpotTraining", False) == is_spot
        )
        usage = "spot training job usage" if is_spot else "training job usage"
        wanted = request["ResourceConfig"]["InstanceCount"]
        self._quotas.check_instances(kind, usage, wanted, in_use)

    def begin(self, request: Record) -> Record:
        """Start a job from a checked request and return its record.

        Raises:
            ServiceError: there is a job of this name already.
        """
        record = self._add(
            request,
            TrainingJobStatus="InProgress",
            ModelArtifacts={"S3ModelArtifacts": f"{output_folder(request)}/output/model.tar.gz"},
            SecondaryStatusTransitions=[],
            FinalMetricDataList=[],
            LogStream=f"{request['TrainingJobName']}/algo-1-{round(now())}",
        )
        self._note(record, "Starting")
        self._start(record, self._run(record))
        return record

    async def list_jobs(self, request: Record) -> Record:
        """As SageMaker's: the trials of searches are in the list too."""
        return list_page(self._records.values(), request, noun=self.noun, members=_SUMMARY)

    async def stop_job(self, request: Record) -> Record:
        self.interrupt(self._in_progress(request["TrainingJobName"]))
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
        for record in self._records.values():
            if record["TrainingJobStatus"] == "Stopping":
                self._end(record, "Stopped")
            elif record["TrainingJobStatus"] == "InProgress":
                self._note(record, "Restarting")
                self._start(record, self._run(record, storage_may_be_starting=True))

    async def stop(self) -> None:
        """Stop all jobs; they stay InProgress, for ``resume``."""
        await super().stop()
        await asyncio.gather(*self._announcements)

    def _not_found(self, _name: str) -> ServiceError:
        return validation_exception("Requested resource not found.")

    async def _run(self, record: Record, *, storage_may_be_starting: bool = False) -> None:
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
        self._end(record, ended.status, ended.reason, ended.secondary)

    def _finished(self, record: Record, task: asyncio.Task[None]) -> None:
        self._runs.pop(record["TrainingJobName"], None)
        super()._finished(record, task)

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

    def _end(
        self, record: Record, status: str, reason: str | None = None, secondary: str | None = None
    ) -> None:
        record["TrainingJobStatus"] = status
        record["TrainingEndTime"] = moment = now()
        if "TrainingStartTime" in record:
            seconds = max(1, math.ceil(moment - record["TrainingStartTime"]))
            record["TrainingTimeInSeconds"] = record["BillableTimeInSeconds"] = seconds
        if reason is not None:
            record["FailureReason"] = reason
        self._note(record, secondary or status)
        record["SecondaryStatusTransitions"][-1]["EndTime"] = moment
        self._state.save()
        self._announce(record)

    def _announce(self, record: Record) -> None:
        """Send the event in the background: no job waits for EventBridge."""
        description = {name: value for name, value in record.items() if name not in self.hidden}
        task = asyncio.create_task(self._events.announce(description))
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)
