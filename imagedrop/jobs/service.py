"""Training and tuning jobs by boto3: create, describe, stop; and the code that they run."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from model.package import package_training_source

UNDER_WAY = ("InProgress", "Stopping")
# SageMaker's codes for a missing job, by operation. The first also means a malformed name, and then
# the job cannot exist either.
_NO_SUCH_JOB = ("ValidationException", "ResourceNotFound")
# The next step after a refused request, by SageMaker's error code.
_LOOK_AT_THE_REQUEST = "The same command with --dry-run prints the request."
_REFUSALS = {
    "ResourceInUse": "Give another --job-name.",
    "ResourceLimitExceeded": (
        "Give another --instance-type, or ask for a higher quota in AWS's Service Quotas."
    ),
    "ResourceNotFound": _LOOK_AT_THE_REQUEST,
    "ValidationException": _LOOK_AT_THE_REQUEST,
}


class Kind(StrEnum):
    TRAINING = "training job"
    TUNING = "tuning job"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as SageMaker describes it."""

    kind: Kind
    name: str
    description: dict[str, Any]

    @property
    def status(self) -> str:
        member = (
            "TrainingJobStatus" if self.kind is Kind.TRAINING else "HyperParameterTuningJobStatus"
        )
        return str(self.description[member])

    @property
    def is_under_way(self) -> bool:
        return self.status in UNDER_WAY

    @property
    def step(self) -> str:
        """Returns its progress as text."""
        if self.kind is Kind.TRAINING:
            return str(self.description["SecondaryStatus"])
        counters = self.description["TrainingJobStatusCounters"]
        limits = self.description["HyperParameterTuningJobConfig"]["ResourceLimits"]
        failed = counters["NonRetryableError"] + counters["RetryableError"]
        return (
            f"{counters['Completed']} of {limits['MaxNumberOfTrainingJobs']} trials completed, "
            f"{counters['InProgress']} in progress, {failed} failed, "
            f"{counters['Stopped']} stopped"
        )


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job as SageMaker lists it."""

    name: str
    kind: Kind
    status: str
    created_at: datetime

    def to_json(self) -> dict[str, str]:
        return {
            "job": self.name,
            "kind": self.kind.value,
            "status": self.status,
            "created_at": self.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        }


_TRIAL = re.compile(r"-\d{3,}-[0-9a-f]{8}$")


class Jobs:
    """The jobs of a region."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker

    def create_training(self, request: dict[str, Any]) -> None:
        """Creates a training job.

        Raises:
            UserError: SageMaker refuses the request.
        """
        with _refusals_as_user_errors():
            self._sagemaker.create_training_job(**request)

    def create_tuning(self, request: dict[str, Any]) -> None:
        """Creates a tuning job.

        Raises:
            UserError: SageMaker refuses the request.
        """
        with _refusals_as_user_errors():
            self._sagemaker.create_hyper_parameter_tuning_job(**request)

    def find(self, name: str) -> Job:
        """Finds a training or tuning job by its name.

        Raises:
            UserError: there is no such job.
        """
        asked = (
            (
                Kind.TRAINING,
                self._sagemaker.describe_training_job,
                "TrainingJobName",
            ),
            (
                Kind.TUNING,
                self._sagemaker.describe_hyper_parameter_tuning_job,
                "HyperParameterTuningJobName",
            ),
        )
        for kind, describe, member in asked:
            try:
                return Job(kind, name, describe(**{member: name}))
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NO_SUCH_JOB:
                    raise
        raise UserError(
            f"There is no job {name}.", "`imagedrop jobs train` prints the name when it starts one."
        )

    def stop(self, job: Job) -> None:
        """Asks a job to end; its output so far is kept."""
        if job.kind is Kind.TRAINING:
            self._sagemaker.stop_training_job(TrainingJobName=job.name)
        else:
            self._sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=job.name)

    def latest(self, count: int) -> list[JobSummary]:
        """Returns the jobs that were created last, the latest first, without trials of searches."""
        searches = self._latest("list_hyper_parameter_tuning_jobs", Kind.TUNING, 2 * count)
        trials = tuple(f"{each.name}-" for each in searches)
        # A trial is named after its search: NAME-001-1a2b3c4d.
        trainings = [
            each
            for each in self._latest("list_training_jobs", Kind.TRAINING, 10 * count)
            if not (each.name.startswith(trials) and _TRIAL.search(each.name))
        ]
        found = sorted([*searches, *trainings], key=lambda each: each.created_at, reverse=True)
        return found[:count]

    def _latest(self, operation: str, kind: Kind, count: int) -> list[JobSummary]:
        noun = "TrainingJob" if kind is Kind.TRAINING else "HyperParameterTuningJob"
        pages = self._sagemaker.get_paginator(operation).paginate(
            SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"MaxItems": count}
        )
        return [
            JobSummary(each[f"{noun}Name"], kind, each[f"{noun}Status"], each["CreationTime"])
            for page in pages
            for each in page[f"{noun}Summaries"]
        ]

    def trials(self, name: str) -> list[dict[str, Any]]:
        """Returns the training jobs of a tuning job, in order of their creation."""
        pages = self._sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        ).paginate(HyperParameterTuningJobName=name, SortBy="CreationTime", SortOrder="Ascending")
        return [each for page in pages for each in page["TrainingJobSummaries"]]

    def billed_seconds(self, trainings: list[str]) -> int:
        """Returns the total billed seconds of these training jobs."""
        return sum(
            int(
                self._sagemaker.describe_training_job(TrainingJobName=name).get(
                    "BillableTimeInSeconds", 0
                )
            )
            for name in trainings
        )


@contextmanager
def _refusals_as_user_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        refusal = error.response["Error"]
        if refusal["Code"] not in _REFUSALS:
            raise
        raise UserError(refusal["Message"], _REFUSALS[refusal["Code"]]) from error


@dataclass(frozen=True, slots=True)
class Sources:
    """The packed code of a job, and its sha256."""

    archive: Path
    sha256: str

    def upload(self, s3: Any, bucket: str, key: str) -> bool:
        """Uploads the archive unless the key exists; returns whether it was uploaded."""
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        else:
            return False
        s3.put_object(Bucket=bucket, Key=key, Body=self.archive.read_bytes())
        return True


@contextmanager
def packed_sources() -> Iterator[Sources]:
    """Packs the code of the working tree into an archive that exists during the block."""
    with tempfile.TemporaryDirectory() as folder:
        archive = package_training_source(Path(folder) / "sourcedir.tar.gz")
        yield Sources(archive, hashlib.sha256(archive.read_bytes()).hexdigest())
