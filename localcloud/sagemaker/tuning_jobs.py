"""CreateHyperParameterTuningJob, Describe…, Stop…, ListTrainingJobsForHyperParameterTuningJob."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from functools import partial
from typing import Any

from localcloud.sagemaker.errors import ServiceError, not_emulated, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.state import Record, State, now, without_tags
from localcloud.sagemaker.training_jobs import UNDER_WAY, TrainingJobs
from localcloud.sagemaker.training_requests import check_training
from localcloud.sagemaker.tuning_search import Seen, propose

logger = logging.getLogger(__name__)

_SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime"),
    *("TrainingEndTime", "TrainingJobStatus", "TunedHyperParameters", "FailureReason"),
    *("FinalHyperParameterTuningJobObjectiveMetric", "ObjectiveStatus"),
)
# Members of a TrainingJobDefinition that a trial's own request has too.
_OF_A_TRIAL = (
    *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig"),
    *("ResourceConfig", "StoppingCondition", "EnableNetworkIsolation", "Environment"),
    *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig"),
)


class TuningJobs:
    """Searches; each trial is one training job."""

    def __init__(self, state: State, trainings: TrainingJobs) -> None:
        self._state, self._trainings = state, trainings
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def create(self, request: Record) -> Record:
        name = request["HyperParameterTuningJobName"]
        arn = self._state.identity.arn("hyper-parameter-tuning-job", name)
        if name in self._state.tuning_jobs:
            raise ServiceError("ResourceInUse", f"Tuning job already exists: {arn}")
        self._check(request)
        record = {
            **without_tags(request),
            "HyperParameterTuningJobArn": arn,
            "HyperParameterTuningJobStatus": "InProgress",
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        self._state.tuning_jobs[name] = record
        self._state.save()
        self._start(record)
        return {"HyperParameterTuningJobArn": arn}

    async def describe(self, request: Record) -> Record:
        record = self._get(request["HyperParameterTuningJobName"])
        trials = [_summary(record, each) for each in self._trials(record)]
        statuses = Counter(each["TrainingJobStatus"] for each in trials)
        objectives = Counter(each["ObjectiveStatus"] for each in trials)
        answer = {
            **record,
            "TrainingJobStatusCounters": {
                "Completed": statuses["Completed"],
                "InProgress": statuses["InProgress"] + statuses["Stopping"],
                "RetryableError": 0,
                "NonRetryableError": statuses["Failed"],
                "Stopped": statuses["Stopped"],
            },
            "ObjectiveStatusCounters": {
                name: objectives[name] for name in ("Succeeded", "Pending", "Failed")
            },
        }
        succeeded = [each for each in trials if each["ObjectiveStatus"] == "Succeeded"]
        if succeeded:
            sign = 1 if _maximizes(record) else -1
            answer["BestTrainingJob"] = max(succeeded, key=lambda each: sign * _value(each))
        return answer

    async def stop_job(self, request: Record) -> Record:
        record = self._get(request["HyperParameterTuningJobName"])
        status = record["HyperParameterTuningJobStatus"]
        if status != "InProgress":
            raise validation_exception(
                f"The request was rejected because the tuning job is in status {status}."
            )
        self._set_status(record, "Stopping")
        self._interrupt_trials(record)
        return {}

    async def list_trials(self, request: Record) -> Record:
        record = self._get(request["HyperParameterTuningJobName"])
        trials = [_summary(record, each) for each in self._trials(record)]
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            trials = [
                {**each, "FinalObjectiveMetricValue": _value(each)}
                for each in trials
                if each["ObjectiveStatus"] == "Succeeded"
            ]
        return list_page(trials, request, noun="TrainingJob", members=_SUMMARY)

    def resume(self) -> None:
        """After a restart, once the trainings run again: continue searches, finish stopping."""
        for record in self._state.tuning_jobs.values():
            if record["HyperParameterTuningJobStatus"] in UNDER_WAY:
                self._start(record)
            if record["HyperParameterTuningJobStatus"] == "Stopping":
                self._interrupt_trials(record)

    async def stop(self) -> None:
        """Stop all searches, before the trainings; they stay InProgress, for ``resume``."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _get(self, name: str) -> Record:
        if name not in self._state.tuning_jobs:
            raise ServiceError(
                "ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}"
            )
        return self._state.tuning_jobs[name]

    def _check(self, request: Record) -> None:
        definition = request.get("TrainingJobDefinition")
        configuration = request["HyperParameterTuningJobConfig"]
        if definition is None or "HyperParameterTuningResourceConfig" in definition:
            raise not_emulated("tuning jobs without one TrainingJobDefinition and ResourceConfig")
        if request.get("Autotune") or configuration["Strategy"] == "Grid":
            raise not_emulated("Autotune, and the strategy Grid")
        objective = configuration.get("HyperParameterTuningJobObjective")
        if objective is None or not configuration.get("ParameterRanges"):
            raise validation_exception("ParameterRanges and an objective are required.")
        if not configuration["ResourceLimits"].get("MaxNumberOfTrainingJobs"):
            raise not_emulated("searches without MaxNumberOfTrainingJobs")
        static = definition.get("StaticHyperParameters", {})
        check_training(definition, static)
        metrics = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
        if objective["MetricName"] not in [each["Name"] for each in metrics]:
            raise validation_exception(
                f"Objective metric {objective['MetricName']} is not in the MetricDefinitions."
            )
        searched = propose(configuration["ParameterRanges"], [], 0, seed=0, maximize=True)
        if both := sorted(set(searched) & set(static)):
            raise validation_exception(f"Hyperparameters both static and searched: {both}")
        for parent in _parents(request):
            self._get(parent)

    def _start(self, record: Record) -> None:
        name = record["HyperParameterTuningJobName"]
        task = self._tasks[name] = asyncio.create_task(self._search(record))
        task.add_done_callback(partial(self._finished, record))

    def _finished(self, record: Record, task: asyncio.Task[None]) -> None:
        del self._tasks[record["HyperParameterTuningJobName"]]
        if not task.cancelled() and (error := task.exception()) is not None:
            name = record["HyperParameterTuningJobName"]
            logger.error("tuning job %s failed", name, exc_info=error)
            record["FailureReason"] = "InternalServerError: see the log of the stand-in"
            self._set_status(record, "Failed")

    async def _search(self, record: Record) -> None:
        """Begin trials, a limited number at once, until there are enough or the job is stopped."""
        limits = record["HyperParameterTuningJobConfig"]["ResourceLimits"]
        while True:
            trials = self._trials(record)
            running = [each for each in trials if each["TrainingJobStatus"] in UNDER_WAY]
            is_wanted = (
                record["HyperParameterTuningJobStatus"] == "InProgress"
                and len(trials) < limits["MaxNumberOfTrainingJobs"]
            )
            if is_wanted and len(running) < limits["MaxParallelTrainingJobs"]:
                self._begin_trial(record, len(trials))
            elif running:
                await self._trainings.first_end([each["TrainingJobName"] for each in running])
            else:
                break
        self._conclude(record)

    def _begin_trial(self, record: Record, number: int) -> None:
        definition, name = record["TrainingJobDefinition"], record["HyperParameterTuningJobName"]
        configuration = record["HyperParameterTuningJobConfig"]
        objective = configuration["HyperParameterTuningJobObjective"]
        # crc32 for a seed, because Python's own hash differs from process to process.
        default_seed = zlib.crc32(name.encode())
        chosen = propose(
            configuration["ParameterRanges"],
            [] if configuration["Strategy"] == "Random" else self._seen(record),
            number,
            seed=configuration.get("RandomSeed", default_seed),
            maximize=_maximizes(record),
        )
        mark = zlib.crc32(f"{name}/{number}".encode())
        self._trainings.begin(
            {
                **{member: definition[member] for member in _OF_A_TRIAL if member in definition},
                "TrainingJobName": f"{name}-{number + 1:03}-{mark:08x}",
                "TuningJobArn": record["HyperParameterTuningJobArn"],
                "TunedHyperParameters": chosen,
                "HyperParameters": {
                    **definition.get("StaticHyperParameters", {}),
                    **chosen,
                    "_tuning_objective_metric": objective["MetricName"],
                },
            }
        )

    def _conclude(self, record: Record) -> None:
        if record["HyperParameterTuningJobStatus"] == "Stopping":
            status = "Stopped"
        elif any(
            _summary(record, each)["ObjectiveStatus"] == "Succeeded"
            for each in self._trials(record)
        ):
            status = "Completed"
        else:
            status = "Failed"
            record["FailureReason"] = "No training job succeeded and emitted the objective metric."
        record["HyperParameterTuningEndTime"] = now()
        self._set_status(record, status)

    def _interrupt_trials(self, record: Record) -> None:
        for each in self._trials(record):
            if each["TrainingJobStatus"] == "InProgress":
                self._trainings.interrupt(each)

    def _trials(self, record: Record) -> list[Record]:
        """The search's trainings, in their order."""
        arn = record["HyperParameterTuningJobArn"]
        jobs = self._state.training_jobs.values()
        return [each for each in jobs if each.get("TuningJobArn") == arn]

    def _seen(self, record: Record) -> list[Seen]:
        """Results of its own trials and of those of its parent searches."""
        searches = [record, *(self._get(name) for name in _parents(record))]
        summaries = [_summary(search, each) for search in searches for each in self._trials(search)]
        return [
            Seen(each["TunedHyperParameters"], _value(each))
            for each in summaries
            if each["ObjectiveStatus"] == "Succeeded"
        ]

    def _set_status(self, record: Record, status: str) -> None:
        record["HyperParameterTuningJobStatus"] = status
        record["LastModifiedTime"] = now()
        self._state.save()


def _parents(request: Record) -> list[str]:
    warm = request.get("WarmStartConfig", {})
    return [
        each["HyperParameterTuningJobName"]
        for each in warm.get("ParentHyperParameterTuningJobs", [])
    ]


def _maximizes(record: Record) -> bool:
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    return bool(objective["Type"] == "Maximize")


def _value(summary: Record) -> float:
    return float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def _summary(record: Record, training: Record) -> Record:
    """A HyperParameterTrainingJobSummary."""
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    summary: dict[str, Any] = {name: training[name] for name in _SUMMARY if name in training}
    values = [
        each["Value"]
        for each in training["FinalMetricDataList"]
        if each["MetricName"] == objective["MetricName"]
    ]
    if training["TrainingJobStatus"] in UNDER_WAY:
        return {**summary, "ObjectiveStatus": "Pending"}
    if training["TrainingJobStatus"] != "Completed" or not values:
        return {**summary, "ObjectiveStatus": "Failed"}
    metric = {**objective, "Value": values[0]}
    return {
        **summary,
        "ObjectiveStatus": "Succeeded",
        "FinalHyperParameterTuningJobObjectiveMetric": metric,
    }
