"""From what a person asks for to a job: addresses of the stack, names, checks before anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from imagedrop.errors import UserError
from training.errors import TrainingError
from training.launch.images import debugger_training_image, rule_image, training_image
from training.launch.places import TrainingPlaces
from training.launch.training_job import Debugger, Hyperparameter, TrainingJob, Vpc
from training.launch.tuning_job import TuningJob
from training.settings import TrainSettings, explanations

# Where things lie is the job's own business.
_PLACES = {"data", "model_dir", "output_dir", "checkpoint_dir", "feature_cache"}
SETTABLE = sorted(set(explanations()) - _PLACES)
_SOME_FOLDER = Path("/opt/ml/input/data/training")
WAITS = 2  # a spot job may wait as long again as it may train


@dataclass(frozen=True, slots=True)
class Place:
    """The stack and region that a job runs in."""

    models_bucket: str
    role_arn: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What the command line says of a job."""

    data: str
    backbone: str
    weights: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    job_name: str | None = None
    instance_type: str = "ml.m5.xlarge"
    max_runtime_seconds: int = 4 * 3600
    spot: bool = False
    max_wait_seconds: int | None = None
    debugger: bool = False
    image: str | None = None
    role_arn: str | None = None
    kms_key: str | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    network_isolation: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


def plan_training(options: JobOptions, place: Place, source_sha256: str, name: str) -> TrainingJob:
    """
    Raises:
        UserError: something that SageMaker or train.py would refuse later.
    """
    places = TrainingPlaces(place.models_bucket)
    channels = {"training": _s3_address(options.data, places)}
    given: dict[str, Any] = {"backbone": options.backbone, **options.settings}
    if options.weights.startswith("s3://"):
        channels["weights"] = options.weights
    elif options.weights:
        given["weights"] = options.weights
    _check_isolation(options, {"weights": "", **given}, channels)
    try:
        return TrainingJob(
            name=name,
            role_arn=options.role_arn or place.role_arn,
            image_uri=options.image or _image(options, place.region),
            source_uri=places.source_uri(source_sha256),
            channels=channels,
            output_uri=places.jobs_uri,
            hyperparameters=job_hyperparameters(given),
            instance_type=options.instance_type,
            max_runtime_seconds=options.max_runtime_seconds,
            spot=options.spot,
            max_wait_seconds=_max_wait_seconds(options),
            checkpoint_uri=places.checkpoints_uri(name),
            kms_key_id=options.kms_key,
            vpc=_vpc(options),
            network_isolation=options.network_isolation,
            tags=options.tags,
            debugger=(
                Debugger(places.debugger_uri(name), rule_image(place.region))
                if options.debugger
                else None
            ),
        )
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error


def plan_tuning(training: TrainingJob, name: str, **search: Any) -> TuningJob:
    """
    Raises:
        UserError: something that SageMaker would refuse later.
    """
    try:
        return TuningJob(name=name, training=training, **search)
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error


def job_hyperparameters(given: Mapping[str, Any]) -> dict[str, Hyperparameter]:
    """Hyperparameters of a job, checked as train.py will check them.

    Args:
        given: by the names of `TrainSettings`; values may be texts.

    Raises:
        UserError: there is no such setting, or it cannot have this value.
    """
    unknown = sorted(set(given) - set(SETTABLE))
    if unknown:
        raise UserError(f"A job has no setting {unknown[0]}.", f"It has: {', '.join(SETTABLE)}.")
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    try:
        checked = TrainSettings.from_arguments([f"--data={_SOME_FOLDER}", *words], {}).to_json()
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
    except SystemExit as error:  # argparse has said what is wrong
        raise UserError(
            "A setting has a value that it cannot have.", "See the line above."
        ) from error
    return {name.replace("_", "-"): checked[name] for name in given}  # type: ignore[misc]


def name_job(given: str | None, data: str, moment: datetime, longest: int) -> str:
    """A name that sorts by time: that of the data's folder and the second."""
    if given is not None:
        return given
    folder = re.sub(r"[^a-zA-Z0-9]+", "-", data.rstrip("/").rpartition("/")[2]).strip("-")
    stamp = time_stamp(moment)
    return f"{folder[: longest - len(stamp) - 1].strip('-') or 'job'}-{stamp}"


def time_stamp(moment: datetime) -> str:
    """The second, as letters and digits that sort by time."""
    return moment.strftime("%Y%m%dt%H%M%S")


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` texts.

    Raises:
        UserError: one of them is none.
    """
    found = {}
    for each in texts:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {each} is no NAME=VALUE.", f"Write {option} NAME=VALUE.")
        found[name.replace("-", "_") if option == "--set" else name] = value
    return found


def _s3_address(data: str, places: TrainingPlaces) -> str:
    if data.startswith("s3://"):
        return data
    name = Path(data).name or "photos"
    raise UserError(
        "A job reads its data from S3.",
        f"Upload them to s3://{places.bucket}/training/data/{name}/ and give that as --data.",
    )


def place_without_stack(options: JobOptions, region: str | None) -> Place | None:
    """Where a job would run, by what was said alone: its data lie in the models bucket.

    None where that is not enough.
    """
    bucket = options.data.removeprefix("s3://").partition("/")[0]
    if not options.data.startswith("s3://") or not bucket or not options.role_arn or not region:
        return None
    return Place(bucket, options.role_arn, region)


def _max_wait_seconds(options: JobOptions) -> int | None:
    if options.max_wait_seconds is None and options.spot:
        return WAITS * options.max_runtime_seconds
    return options.max_wait_seconds


def _image(options: JobOptions, region: str) -> str:
    of = debugger_training_image if options.debugger else training_image
    return of(region, options.instance_type)


def _vpc(options: JobOptions) -> Vpc | None:
    if bool(options.subnets) != bool(options.security_groups):
        raise UserError(
            "A network needs subnets and security groups.", "Give --subnet and --security-group."
        )
    return Vpc(options.subnets, options.security_groups) if options.subnets else None


def _check_isolation(
    options: JobOptions, hyperparameters: Mapping[str, Any], channels: Mapping[str, str]
) -> None:
    """What a container without a network cannot fetch has to be in it or in a channel."""
    if not options.network_isolation:
        return
    if options.image is None:
        raise UserError(
            "Without a network nothing can be installed, and AWS's container lacks ONNX.",
            "Give an --image of your own with training/job/requirements.txt installed.",
        )
    downloads = hyperparameters["weights"] in {"", "imagenet"} and "weights" not in channels
    if downloads and hyperparameters["backbone"] == "resnet50":
        raise UserError(
            "Without a network torchvision's weights cannot be downloaded.",
            "Put them into S3 and give --weights s3://BUCKET/training/weights/FILE.",
        )
