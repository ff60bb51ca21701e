"""CreateHyperParameterTuningJob, Describe…, Stop…, ListTrainingJobsForHyperParameterTuningJob."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from typing import Any

from localcloud.sagemaker.errors import ServiceError, not_emulated, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.resources import Jobs
from localcloud.sagemaker.state import Record, State, now
from localcloud.sagemaker.training_jobs import UNDER_WAY, TrainingJobs
from localcloud.sagemaker.training_requests import check_training
from localcloud.sagemaker.tuning_search import Seen, propose

logger = logging.getLogger(__name__)

_SUMMARY = (
    *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime"),
    *("TrainingEndTime", "TrainingJobStatus", "TunedHyperParameters", "FailureReason"),
    *("FinalHyperParameterTuningJobObjectiveMetric", "ObjectiveStatus"),
)
_NAME = "HyperParameterTuningJobName"
_SEARCH_SUMMARY = (
    *(_NAME, "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "Strategy"),
    *("CreationTime", "HyperParameterTuningEndTime", "LastModifiedTime"),
    *("TrainingJobStatusCounters", "ObjectiveStatusCounters"),
)
# Members of a TrainingJobDefinition that a trial's own request has too.
_OF_A_TRIAL = (
    *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig"),
    *("ResourceConfig", "StoppingCondition", "EnableNetworkIsolation", "Environment"),
    *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig"),
)


class TuningJobs(Jobs):
    """Searches; each trial is one training job."""

    noun, kind = "HyperParameterTuningJob", "hyper-parameter-tuning-job"
    words = "tuning job"

    def __init__(self, state: State, trainings: TrainingJobs) -> None:
        super().__init__(state, state.tuning_jobs)
        self._trainings = trainings

    async def create(self, request: Record) -> Record:
        self._check(request)
        self._trainings.check_quota(request["TrainingJobDefinition"])
        record = self._add(
            request, HyperParameterTuningJobStatus="InProgress", LastModifiedTime=now()
        )
        self._start(record, self._search(record))
        return {"HyperParameterTuningJobArn": record["HyperParameterTuningJobArn"]}

    async def describe(self, request: Record) -> Record:
        record = self.get(request["HyperParameterTuningJobName"])
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
        record = self._in_progress(request["HyperParameterTuningJobName"])
        self._set_status(record, "Stopping")
        self._interrupt_trials(record)
        return {}

    async def list_jobs(self, request: Record) -> Record:
        records = [await self.describe({_NAME: name}) for name in self._records]
        summaries = [
            {**each, "Strategy": each["HyperParameterTuningJobConfig"]["Strategy"]}
            for each in records
        ]
        return list_page(summaries, request, noun=self.noun, members=_SEARCH_SUMMARY)

    async def list_trials(self, request: Record) -> Record:
        record = self.get(request["HyperParameterTuningJobName"])
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
                self._start(record, self._search(record))
            if record["HyperParameterTuningJobStatus"] == "Stopping":
                self._interrupt_trials(record)

    def _already_exists(self, arn: str) -> ServiceError:
        return ServiceError("ResourceInUse", f"Tuning job already exists: {arn}")

    def _finished(self, record: Record, task: asyncio.Task[None]) -> None:
        if not task.cancelled():  # cancelled: the stand-in ends, and resumes the search later
            super()._finished(record, task)

    def _not_found(self, name: str) -> ServiceError:
        return ServiceError(
            "ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}"
        )

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
            self.get(parent)

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
        summaries = [_summary(record, each) for each in self._trials(record)]
        if record["HyperParameterTuningJobStatus"] == "Stopping":
            self._end(record, "Stopped")
        elif any(each["ObjectiveStatus"] == "Succeeded" for each in summaries):
            self._end(record, "Completed")
        else:
            reason = "No training job succeeded and emitted the objective metric."
            self._end(record, "Failed", reason)

    def _end(self, record: Record, status: str, reason: str | None = None) -> None:
        if reason is not None:
            record["FailureReason"] = reason
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
        searches = [record, *(self.get(name) for name in _parents(record))]
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
