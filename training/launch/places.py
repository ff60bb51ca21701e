"""The folders of trainings in the models bucket; no two share a prefix.

    training/data/NAME/                  data sets
    training/weights/                    weights for jobs without a network
    training/sources/SHA256.tar.gz       the code of a job
    training/jobs/JOB/output/            model.tar.gz and output.tar.gz, as SageMaker names them
    training/checkpoints/JOB/
    training/debugger/JOB/               tensors and profiles of jobs with Debugger

Endpoints may only read `models/`; packaging a trained model copies it there.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.settings import FEATURES_FOLDER


@dataclass(frozen=True, slots=True)
class TrainingPlaces:
    """The addresses in one bucket."""

    bucket: str

    @property
    def jobs_uri(self) -> str:
        """The `S3OutputPath` of every job: SageMaker adds the job's name."""
        return f"s3://{self.bucket}/training/jobs"

    def source_key(self, sha256: str) -> str:
        return f"training/sources/{sha256}.tar.gz"

    def source_uri(self, sha256: str) -> str:
        return f"s3://{self.bucket}/{self.source_key(sha256)}"

    def checkpoints_uri(self, job: str) -> str:
        # The slash matters: SageMaker copies every key that begins with this address.
        return f"s3://{self.bucket}/training/checkpoints/{job}/"

    def features_uri(self, job: str) -> str:
        """The features of a job with `features-only`, in its checkpoints."""
        return f"{self.checkpoints_uri(job)}{FEATURES_FOLDER}/"

    def debugger_uri(self, job: str) -> str:
        return f"s3://{self.bucket}/training/debugger/{job}"


def shared_prefixes(uris: dict[str, str]) -> list[tuple[str, str]]:
    """Finds pairs of names with the same or nested addresses, such as `s3://b/a` and `s3://b/a/c`.

    SageMaker reads every key below a channel's address. The original project's tuner uploaded its
    sources into its data that way.
    """
    folders = {name: uri.rstrip("/") + "/" for name, uri in uris.items()}
    names = sorted(folders)
    return [
        (first, second)
        for place, first in enumerate(names)
        for second in names[place + 1 :]
        if folders[first].startswith(folders[second]) or folders[second].startswith(folders[first])
    ]
