"""A training job of SageMaker and the request that creates it.

The shapes are those of CreateTrainingJob
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training.errors import TrainingError
from training.launch.debugger_request import debugger_request
from training.launch.places import shared_prefixes
from training.tracking.metric_lines import metric_definitions

ENTRY_POINT = "train.py"
CODE_CHANNEL = "code"
WEIGHTS_CHANNEL = "weights"
FEATURES_CHANNEL = "features"
DATA_CHANNELS = ("training", "train", "valid", "validation", "val", "test")
# Families with a d (m5d, g4dn, p4de), and those that always have such a disk.
_LOCAL_DISK = re.compile(
    r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|gr?[5-9][a-z]*|p[5-9][a-z]*|trn\w+|i\d\w*)\."
)
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")

Hyperparameter = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Vpc:
    """The private network that a job's machine is connected to."""

    subnets: tuple[str, ...]
    security_group_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Debugger:
    """The address for Debugger's tensors and profiles, and the image of its rules."""

    s3_output: str
    rule_image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One run of `train.py` on one machine.

    Attributes:
        source_uri: `sourcedir.tar.gz` of `model.package.package_training_source`, in S3.
        channels: S3 addresses by channel: `training`, or `train`, `valid` and `test`; `weights`;
            `features`, of an earlier job.
        output_uri: below it SageMaker writes `NAME/output/model.tar.gz`.
        hyperparameters: options of `train.py`, without the dashes before them.
        checkpoint_uri: a folder for this job alone; an interrupted job resumes from it.
        max_wait_seconds: with `spot`, the limit of waiting and training together.

    Raises:
        TrainingError: two fields contradict each other, or SageMaker would refuse one.
    """

    name: str
    role_arn: str
    image_uri: str
    source_uri: str
    channels: Mapping[str, str]
    output_uri: str
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)
    instance_type: str = "ml.m5.xlarge"
    volume_gb: int = 30
    max_runtime_seconds: int = 4 * 3600
    spot: bool = False
    max_wait_seconds: int | None = None
    checkpoint_uri: str | None = None
    kms_key_id: str | None = None
    vpc: Vpc | None = None
    network_isolation: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    debugger: Debugger | None = None

    def __post_init__(self) -> None:
        for problem, next_step in _problems(self):
            raise TrainingError(problem, next_step)


def training_job_request(job: TrainingJob) -> dict[str, Any]:
    """Builds the arguments of CreateTrainingJob.

    Raises:
        TrainingError: a spot job without checkpoints.
    """
    if job.spot and job.checkpoint_uri is None:
        raise TrainingError(
            "AWS may reclaim a spot machine, and the job has no checkpoints to resume from.",
            "Give an address for checkpoints.",
        )
    request = {
        "TrainingJobName": job.name,
        "HyperParameters": encoded(job.hyperparameters) | entry_point(job),
        "AlgorithmSpecification": algorithm(job),
        **machine_and_data(job),
    }
    if job.checkpoint_uri is not None:
        request["CheckpointConfig"] = {"S3Uri": job.checkpoint_uri}
    if job.tags:
        request["Tags"] = tag_list(job.tags)
    if job.debugger is not None:
        request |= debugger_request(job.debugger.s3_output, job.debugger.rule_image)
    return request


def entry_point(job: TrainingJob) -> dict[str, str]:
    """The two hyperparameters by which SageMaker's training toolkit finds the code.

    Without a network the toolkit cannot download the code, so the code is a channel.
    """
    archive = job.source_uri
    if job.network_isolation:
        archive = f"/opt/ml/input/data/{CODE_CHANNEL}/{job.source_uri.rpartition('/')[2]}"
    return encoded({"sagemaker_program": ENTRY_POINT, "sagemaker_submit_directory": archive})


def encoded(hyperparameters: Mapping[str, Hyperparameter]) -> dict[str, str]:
    """Encodes hyperparameters as JSON strings, which SageMaker's toolkit decodes."""
    return {name: json.dumps(value) for name, value in hyperparameters.items()}


def algorithm(job: TrainingJob) -> dict[str, Any]:
    return {
        "TrainingImage": job.image_uri,
        "TrainingInputMode": "File",
        "MetricDefinitions": metric_definitions(),
    }


def machine_and_data(job: TrainingJob) -> dict[str, Any]:
    """The members that CreateTrainingJob and a tuning job's TrainingJobDefinition share."""
    output = {"S3OutputPath": job.output_uri}
    machine: dict[str, Any] = {
        "InstanceType": job.instance_type,
        "InstanceCount": 1,
        "VolumeSizeInGB": job.volume_gb,
    }
    if job.kms_key_id is not None:
        output["KmsKeyId"] = job.kms_key_id
        if not has_local_disk(job.instance_type):
            machine["VolumeKmsKeyId"] = job.kms_key_id
    stop = {"MaxRuntimeInSeconds": job.max_runtime_seconds}
    if job.max_wait_seconds is not None:
        stop["MaxWaitTimeInSeconds"] = job.max_wait_seconds
    members: dict[str, Any] = {
        "RoleArn": job.role_arn,
        "InputDataConfig": [channel(*each) for each in _channels(job).items()],
        "OutputDataConfig": output,
        "ResourceConfig": machine,
        "StoppingCondition": stop,
        "EnableManagedSpotTraining": job.spot,
        "EnableNetworkIsolation": job.network_isolation,
    }
    if job.vpc is not None:
        members["VpcConfig"] = {
            "Subnets": list(job.vpc.subnets),
            "SecurityGroupIds": list(job.vpc.security_group_ids),
        }
    return members


def has_local_disk(instance_type: str) -> bool:
    """Returns whether a machine such as `ml.g5.xlarge` has a local disk for data.

    That disk encrypts itself, and SageMaker refuses a key for it:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html
    """
    return bool(_LOCAL_DISK.match(instance_type))


def channel(name: str, uri: str) -> dict[str, Any]:
    """A member of InputDataConfig; without the final slash the folder `a` would include `ab`."""
    is_file = name in {WEIGHTS_CHANNEL, CODE_CHANNEL}
    return {
        "ChannelName": name,
        "InputMode": "File",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri if is_file else uri.rstrip("/") + "/",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _channels(job: TrainingJob) -> dict[str, str]:
    code = {CODE_CHANNEL: job.source_uri} if job.network_isolation else {}
    return dict(job.channels) | code


def _problems(job: TrainingJob) -> list[tuple[str, str]]:
    """Problems of the job, each with the next step."""
    checks = [
        (
            _NAME.fullmatch(job.name) is not None,
            f"{job.name!r} is not a valid job name.",
            "Use up to 63 letters, digits and hyphens.",
        ),
        (
            bool(set(job.channels) & set(DATA_CHANNELS)),
            "There is no data to train on.",
            "Give it with --data s3://BUCKET/FOLDER/.",
        ),
        (
            job.spot == (job.max_wait_seconds is not None),
            "Only spot jobs have a time to wait, and they need one.",
            "Give both or neither.",
        ),
        (
            job.max_wait_seconds is None or job.max_wait_seconds >= job.max_runtime_seconds,
            "The time to wait includes the time to train, but is shorter.",
            "Raise --max-wait-seconds, or lower --max-runtime-seconds.",
        ),
    ]
    found = [(problem, next_step) for holds, problem, next_step in checks if not holds]
    return found + [
        (
            f"{first} and {second} share an address in S3.",
            "SageMaker reads everything below a channel's address: use separate folders.",
        )
        for first, second in shared_prefixes(_places(job))
    ]


def _places(job: TrainingJob) -> dict[str, str]:
    """The addresses that the job reads and writes, by their names in messages."""
    places = {f"the channel {name}": uri for name, uri in job.channels.items()}
    places["the sources"] = job.source_uri.rpartition("/")[0]
    places["the output"] = job.output_uri
    if job.checkpoint_uri is not None:
        places["the checkpoints"] = job.checkpoint_uri
    if job.debugger is not None:
        places["Debugger's output"] = job.debugger.s3_output
    return places
