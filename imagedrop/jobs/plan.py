"""Turns a command's options into a job: S3 addresses, names, checks before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from imagedrop.errors import UserError, as_user_error
from imagedrop.jobs.options import SETTABLE, JobOptions
from training.launch.images import debugger_training_image, rule_image, training_image
from training.launch.places import TrainingPlaces
from training.launch.training_job import (
    FEATURES_CHANNEL,
    Debugger,
    Hyperparameter,
    TrainingJob,
    Vpc,
)
from training.launch.tuning_job import TuningJob
from training.settings import DOWNLOADED, LITE0, TrainSettings
from training.tracking.run_folders import time_stamp

_SOME_FOLDER = Path("/opt/ml/input/data/training")
SPOT_WAIT_FACTOR = 2  # a spot job may wait as long again as it may train


@dataclass(frozen=True, slots=True)
class JobStack:
    """The attributes of the stack that a job needs."""

    models_bucket: str
    role_arn: str
    region: str
    kms_key_id: str | None = None


def plan_training(
    options: JobOptions, stack: JobStack, source_sha256: str, name: str
) -> TrainingJob:
    """Builds the training job that the options describe.

    Args:
        source_sha256: of the packed sources, which is their name in S3.

    Raises:
        UserError: SageMaker or train.py would refuse it.
    """
    places = TrainingPlaces(stack.models_bucket)
    channels = {"training": _s3_address(options.data, places)}
    given: dict[str, Any] = {"backbone": options.backbone, **options.settings}
    if options.weights.startswith("s3://"):
        channels["weights"] = options.weights
    elif options.weights:
        given["weights"] = options.weights
    if options.features is not None:
        channels[FEATURES_CHANNEL] = places.features_uri(options.features)
    _check_isolation(options, {"weights": "", **given}, channels)
    with as_user_error():
        return TrainingJob(
            name=name,
            role_arn=options.role_arn or stack.role_arn,
            image_uri=options.image or _image(options, stack.region),
            source_uri=places.source_uri(source_sha256),
            channels=channels,
            output_uri=places.jobs_uri,
            hyperparameters=job_hyperparameters(given),
            instance_type=options.instance_type,
            max_runtime_seconds=options.max_runtime_seconds,
            spot=options.spot,
            max_wait_seconds=_max_wait_seconds(options),
            checkpoint_uri=places.checkpoints_uri(name),
            kms_key_id=options.kms_key or stack.kms_key_id,
            vpc=_vpc(options),
            network_isolation=options.network_isolation,
            tags=options.tags,
            debugger=(
                Debugger(places.debugger_uri(name), rule_image(stack.region))
                if options.debugger
                else None
            ),
        )


def plan_features(options: JobOptions) -> JobOptions:
    """Returns the options of a job that keeps the features which trials with `options` take."""
    return replace(options, settings={**options.settings, "features_only": True})


def plan_tuning(training: TrainingJob, name: str, **search: Any) -> TuningJob:
    """Builds the tuning job whose trials are `training`; `search` are fields of `TuningJob`.

    Raises:
        UserError: SageMaker would refuse it.
    """
    with as_user_error():
        return TuningJob(name=name, training=training, **search)


def job_hyperparameters(given: Mapping[str, Any]) -> dict[str, Hyperparameter]:
    """Checks hyperparameters as train.py will check them, and names them as its options.

    Args:
        given: by the names of `TrainSettings`; values may be strings.

    Raises:
        UserError: a setting does not exist, or its value is invalid.
    """
    unknown = sorted(set(given) - set(SETTABLE))
    if unknown:
        raise UserError(f"A job has no setting {unknown[0]}.", f"It has: {', '.join(SETTABLE)}.")
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    try:
        with as_user_error():
            checked = TrainSettings.from_arguments([f"--data={_SOME_FOLDER}", *words], {}).to_json()
    except SystemExit as error:  # argparse has printed the reason
        raise UserError("A setting has an invalid value.", "See the line above.") from error
    return {name.replace("_", "-"): checked[name] for name in given}  # type: ignore[misc]


def name_job(given: str | None, data: str, moment: datetime, longest: int) -> str:
    """Returns the given name, or the data's folder and the time, so that names sort by time."""
    if given is not None:
        return given
    folder = re.sub(r"[^a-zA-Z0-9]+", "-", data.rstrip("/").rpartition("/")[2]).strip("-")
    stamp = time_stamp(moment)
    return f"{folder[: longest - len(stamp) - 1].strip('-') or 'job'}-{stamp}"


def _s3_address(data: str, places: TrainingPlaces) -> str:
    if data.startswith("s3://"):
        return data
    name = Path(data).name or "photos"
    raise UserError(
        "A job reads its data from S3.",
        f"Upload them to s3://{places.bucket}/training/data/{name}/ and give that as --data.",
    )


def stack_from_options(options: JobOptions, region: str | None) -> JobStack | None:
    """Returns the stack that --data and --role-arn describe: the data are in the models bucket.

    None if they do not describe one.
    """
    bucket = options.data.removeprefix("s3://").partition("/")[0]
    if not options.data.startswith("s3://") or not bucket or not options.role_arn or not region:
        return None
    return JobStack(bucket, options.role_arn, region)


def _max_wait_seconds(options: JobOptions) -> int | None:
    if options.max_wait_seconds is None and options.spot:
        return SPOT_WAIT_FACTOR * options.max_runtime_seconds
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
    """Checks that a job without a network has everything in its container or in a channel."""
    if not options.network_isolation:
        return
    if options.image is None:
        raise UserError(
            "Without a network nothing can be installed, and AWS's container lacks ONNX.",
            "Give your own --image with training/job/requirements.txt installed.",
        )
    downloads = hyperparameters["weights"] in {"", *DOWNLOADED} and "weights" not in channels
    if downloads and hyperparameters["backbone"] != LITE0:
        raise UserError(
            "Without a network weights cannot be downloaded, such as those of "
            f"{hyperparameters['backbone']}.",
            "Put them into S3 and give --weights s3://BUCKET/training/weights/FILE.",
        )
