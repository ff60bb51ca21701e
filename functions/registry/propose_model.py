"""The use case: a training job has ended; its model is put forward, and a person decides."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from archive.card import ArchiveError
from archive.reading import check_archive
from registry.model_registry import ModelPackage, ModelRegistry, RegistrationError
from registry.models_bucket import ModelsBucket
from registry.training_jobs import EndedJob


class Jobs(Protocol):
    """Where training jobs are described."""

    def find(self, name: str) -> EndedJob: ...


class People(Protocol):
    """Who is told."""

    def tell(self, subject: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """What became of a job's model: a package, or the reason why there is none."""

    package: ModelPackage | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProposeModel:
    """The adapters that the use case works with.

    Attributes:
        serving_image: the container that serves models in this stack.
    """

    jobs: Jobs
    models: ModelsBucket
    registry: ModelRegistry
    people: People
    serving_image: str

    def run(self, job_name: str) -> Proposal:
        """Registers the job's archive as pending, and tells people. Doing it twice tells once.

        Raises:
            TransientError: a service is busy or did not answer.
            ClientError: anything else that is no property of the archive.
        """
        job = self.jobs.find(job_name)
        if job.status != "Completed":
            return Proposal(reason=f"the job is {job.status}")
        if job.is_trial:
            return Proposal(reason="the job is a trial of a tuning job")
        if not self.models.holds(job.model_data_url):
            return Proposal(reason=f"its archive lies elsewhere: {job.model_data_url}")
        try:
            package, is_new = self._register(job)
        except (ArchiveError, RegistrationError) as error:
            self.people.tell(
                "imagedrop: a trained model cannot be proposed",
                f"The training job {job.name} has ended, but its archive {job.model_data_url} "
                f"cannot become a model package: {error}.\n",
            )
            return Proposal(reason=str(error))
        if is_new:
            subject = f"imagedrop: {package.identity} waits for a word"
            self.people.tell(subject, letter(job, package))
        return Proposal(package)

    def _register(self, job: EndedJob) -> tuple[ModelPackage, bool]:
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.tar.gz"
            self.models.fetch(job.model_data_url, path)
            archive = check_archive(path)
            stored = self.models.publish(archive)
            return self.registry.register(archive, stored, self.serving_image, job.arn)


def letter(job: EndedJob, package: ModelPackage) -> str:
    """What people read: how good the model is, and how to say yes or no."""
    metrics = [
        f"  {name.removeprefix('metrics.')}: {value}"
        for name, value in package.lineage.items()
        if name.startswith("metrics.")
    ]
    return "\n".join(
        [
            f"The training job {job.name} has made {package.identity}, "
            f"with {package.lineage['labels']} labels.",
            "Measured: nothing." if not metrics else "Measured:",
            *metrics,
            "",
            "It is in the model registry and serves nobody yet. To put it behind the endpoint:",
            f"  imagedrop promote {package.name} --version {package.version} --target aws",
            "",
        ]
    )
