"""The use case after a training job: register its model as pending and notify people."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archive.card import ArchiveError
from archive.reading import check_archive
from pipeline.adapters.service_errors import translate_errors
from registry.model_registry import ModelPackage, ModelRegistry, RegistrationError
from registry.models_bucket import ModelsBucket

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient

MAX_SUBJECT_CHARACTERS = 100  # SNS; printable ASCII


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training job as SageMaker describes it.

    Attributes:
        model_data_url: the address of its archive; empty if it made none.
        is_trial: whether it belongs to a tuning job.
    """

    name: str
    arn: str
    status: str
    model_data_url: str
    is_trial: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """The result of a proposal: a package, or the reason why there is none."""

    package: ModelPackage | None = None
    reason: str | None = None


class Notifier:
    """Sends messages to the alarm topic; sends nothing when the stack has no topic (empty ARN)."""

    def __init__(self, sns: SNSClient, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def send(self, subject: str, text: str) -> None:
        """Publishes a message.

        Raises:
            TransientError: SNS is busy or did not answer.
            ClientError: SNS refuses, most often for a missing permission.
        """
        if not self._topic_arn:
            return
        printable = "".join(each if " " <= each <= "~" else "?" for each in subject)
        with translate_errors():
            self._sns.publish(
                TopicArn=self._topic_arn, Subject=printable[:MAX_SUBJECT_CHARACTERS], Message=text
            )


@dataclass(frozen=True, slots=True)
class ProposeModel:
    """Registers models of training jobs.

    Attributes:
        serving_image: the container image that serves models in this stack.
    """

    sagemaker: SageMakerClient
    models: ModelsBucket
    registry: ModelRegistry
    notifier: Notifier
    serving_image: str

    def run(self, job_name: str) -> Proposal:
        """Registers the job's archive as pending and notifies people; the second time, neither.

        Raises:
            TransientError: a service is busy or did not answer.
            ClientError: any other refusal of a service.
        """
        job = find_training_job(self.sagemaker, job_name)
        if job.status != "Completed":
            return Proposal(reason=f"the job is {job.status}")
        if job.is_trial:
            return Proposal(reason="the job is a trial of a tuning job")
        if not self.models.holds(job.model_data_url):
            return Proposal(reason=f"its archive is in another bucket: {job.model_data_url}")
        try:
            package, is_new = self._register(job)
        except (ArchiveError, RegistrationError) as error:
            self.notifier.send(
                "imagedrop: a trained model cannot be proposed",
                f"The training job {job.name} has ended, but its archive {job.model_data_url} "
                f"cannot be registered: {error}.\n",
            )
            return Proposal(reason=str(error))
        if is_new:
            subject = f"imagedrop: {package.identity} is ready for approval"
            self.notifier.send(subject, proposal_message(job, package))
        return Proposal(package)

    def _register(self, job: TrainingJob) -> tuple[ModelPackage, bool]:
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.tar.gz"
            self.models.fetch(job.model_data_url, path)
            archive = check_archive(path)
            stored = self.models.publish(archive)
            return self.registry.register(archive, stored, self.serving_image, job.arn)


def find_training_job(sagemaker: SageMakerClient, name: str) -> TrainingJob:
    """Describes a training job.

    Raises:
        TransientError: SageMaker is busy or did not answer.
        ClientError: anything else, most often a missing job.
    """
    with translate_errors():
        job = sagemaker.describe_training_job(TrainingJobName=name)
    return TrainingJob(
        name=name,
        arn=job["TrainingJobArn"],
        status=job["TrainingJobStatus"],
        model_data_url=job.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
        is_trial="TuningJobArn" in job,
    )


def proposal_message(job: TrainingJob, package: ModelPackage) -> str:
    """Returns the text of the message: how good the model is, and how to promote it."""
    metrics = [
        f"  {name.removeprefix('metrics.')}: {value}"
        for name, value in package.lineage.items()
        if name.startswith("metrics.")
    ]
    return "\n".join(
        [
            f"The training job {job.name} has made {package.identity}, "
            f"with {package.lineage['labels']} labels.",
            "Measured:" if metrics else "Measured: nothing.",
            *metrics,
            "",
            "It is in the model registry and is not served yet. To put it behind the endpoint:",
            f"  imagedrop promote {package.name} --version {package.version} --target aws",
            "",
        ]
    )
