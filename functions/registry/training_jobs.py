"""Training jobs as SageMaker describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.adapters.service_errors import transient_errors_named

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True, slots=True)
class EndedJob:
    """``model_data_url`` is where its archive lies, if it has made one."""

    name: str
    arn: str
    status: str
    model_data_url: str
    is_trial: bool  # of a tuning job


class TrainingJobs:
    """The jobs of one account and region."""

    def __init__(self, sagemaker: SageMakerClient) -> None:
        self._sagemaker = sagemaker

    def find(self, name: str) -> EndedJob:
        """
        Raises:
            TransientError: SageMaker is busy or did not answer.
            ClientError: anything else, a missing job above all.
        """
        with transient_errors_named():
            job = self._sagemaker.describe_training_job(TrainingJobName=name)
        return EndedJob(
            name=name,
            arn=job["TrainingJobArn"],
            status=job["TrainingJobStatus"],
            model_data_url=job.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
            is_trial="TuningJobArn" in job,
        )
