"""Training and tuning jobs by boto3: send, ask, stop."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from model.package import package_training_source

UNDER_WAY = ("InProgress", "Stopping")
# SageMaker's code for a job that is not there is one of these, by operation. The first also says
# that a name is malformed, and then there is no such job either.
_NO_SUCH_JOB = ("ValidationException", "ResourceNotFound")
# What to do about a request that SageMaker refuses, by the code of its refusal.
_LOOK_AT_THE_REQUEST = "The same command with --dry-run prints what was asked for."
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
    """What SageMaker says of a job now."""

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
        """How far it is, for people."""
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


class Jobs:
    """A region's jobs."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker

    def create_training(self, request: dict[str, Any]) -> None:
        """
        Raises:
            UserError: SageMaker refuses the request.
        """
        with _refusals_told():
            self._sagemaker.create_training_job(**request)

    def create_tuning(self, request: dict[str, Any]) -> None:
        """
        Raises:
            UserError: SageMaker refuses the request.
        """
        with _refusals_told():
            self._sagemaker.create_hyper_parameter_tuning_job(**request)

    def find(self, name: str) -> Job:
        """
        Raises:
            UserError: there is no job of this name, of either kind.
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
        """Ask it to end; what it has made is kept."""
        if job.kind is Kind.TRAINING:
            self._sagemaker.stop_training_job(TrainingJobName=job.name)
        else:
            self._sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=job.name)

    def trials(self, name: str) -> list[dict[str, Any]]:
        """The trainings of a tuning job, in their order."""
        pages = self._sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        ).paginate(HyperParameterTuningJobName=name, SortBy="CreationTime", SortOrder="Ascending")
        return [each for page in pages for each in page["TrainingJobSummaries"]]

    def billed_seconds(self, trainings: list[str]) -> int:
        """What these trainings are billed for, together."""
        return sum(
            int(
                self._sagemaker.describe_training_job(TrainingJobName=name).get(
                    "BillableTimeInSeconds", 0
                )
            )
            for name in trainings
        )


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] not in _REFUSALS:
            raise
        raise UserError(told["Message"], _REFUSALS[told["Code"]]) from error


@dataclass(frozen=True, slots=True)
class Sources:
    """The packed code of a job, and the hash that it is stored under."""

    archive: Path
    sha256: str

    def upload(self, s3: Any, bucket: str, key: str) -> bool:
        """Unless it is there already; whether it was sent."""
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
    """The code that is in the tree right now, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        archive = package_training_source(Path(folder) / "sourcedir.tar.gz")
        yield Sources(archive, hashlib.sha256(archive.read_bytes()).hexdigest())
