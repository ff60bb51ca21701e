"""The jobs whose requests are kept as golden files.

    python -m tests.unit.launch.jobs

rewrites the files; review the diff before committing it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.launch.images import debugger_training_image, rule_image, training_image
from training.launch.places import TrainingPlaces
from training.launch.training_job import Debugger, TrainingJob, Vpc, training_job_request
from training.launch.tuning_job import TuningJob, tuning_job_request
from training.tuning.search import SearchSpace

GOLDEN = Path(__file__).parent / "golden"
REGION = "us-east-1"
PLACES = TrainingPlaces("imagedrop-models")
SHA256 = "5f" * 32

PLAIN = TrainingJob(
    name="dogs-1",
    role_arn="arn:aws:iam::123456789012:role/imagedrop-TrainingRole",
    image_uri=training_image(REGION, "ml.m5.xlarge"),
    source_uri=PLACES.source_uri(SHA256),
    channels={"training": "s3://imagedrop-models/training/data/dogs"},
    output_uri=PLACES.jobs_uri,
    hyperparameters={"backbone": "resnet50", "epochs": 3, "lr": 0.014, "class-weights": True},
    checkpoint_uri=PLACES.checkpoints_uri("dogs-1"),
    tags={"project": "imagedrop"},
)
DEBUGGED = replace(
    PLAIN,
    name="dogs-inspected",
    image_uri=debugger_training_image(REGION, "ml.m5.xlarge"),
    checkpoint_uri=PLACES.checkpoints_uri("dogs-inspected"),
    debugger=Debugger(PLACES.debugger_uri("dogs-inspected"), rule_image(REGION)),
)
CLOSED = replace(
    PLAIN,
    name="dogs-closed",
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/training:1",
    channels={
        "train": "s3://imagedrop-models/training/data/split/train/",
        "valid": "s3://imagedrop-models/training/data/split/valid/",
        "weights": "s3://imagedrop-models/training/weights/resnet50.pth",
    },
    instance_type="ml.g5.xlarge",
    checkpoint_uri=PLACES.checkpoints_uri("dogs-closed"),
    spot=True,
    max_wait_seconds=8 * 3600,
    kms_key_id="arn:aws:kms:us-east-1:123456789012:key/1",
    vpc=Vpc(("subnet-0a", "subnet-0b"), ("sg-0a",)),
    network_isolation=True,
)
TRIAL = replace(PLAIN, name="trial", hyperparameters={"backbone": "resnet50"}, checkpoint_uri=None)
BAYESIAN = TuningJob(name="dogs-tuning", training=TRIAL)
HYPERBAND = TuningJob(
    name="dogs-tuning-again",
    training=replace(TRIAL, spot=True, max_wait_seconds=8 * 3600),
    space=SearchSpace(lr=(0.003, 0.03), batch_sizes=(32,), epochs=(3, 9)),
    strategy="Hyperband",
    max_trials=40,
    max_parallel=4,
    random_seed=7,
    parents=("dogs-tuning",),
    warm_start="TransferLearning",
)


FEATURES = replace(
    PLAIN,
    name="dogs-features",
    hyperparameters={"backbone": "resnet50", "features-only": True},
    checkpoint_uri=PLACES.checkpoints_uri("dogs-features"),
)
WITH_FEATURES = TuningJob(
    name="dogs-tuning-kept",
    training=replace(
        TRIAL, channels={**TRIAL.channels, "features": PLACES.features_uri(FEATURES.name)}
    ),
)


def _training(job: TrainingJob) -> Callable[[], dict[str, Any]]:
    return lambda: training_job_request(job)


def _tuning(job: TuningJob) -> Callable[[], dict[str, Any]]:
    return lambda: tuning_job_request(job)


# Name of the golden file: operation, request.
REQUESTS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "training": ("CreateTrainingJob", _training(PLAIN)),
    "training_with_debugger": ("CreateTrainingJob", _training(DEBUGGED)),
    "training_closed_off": ("CreateTrainingJob", _training(CLOSED)),
    "training_features_only": ("CreateTrainingJob", _training(FEATURES)),
    "tuning_with_features": ("CreateHyperParameterTuningJob", _tuning(WITH_FEATURES)),
    "tuning_bayesian": ("CreateHyperParameterTuningJob", _tuning(BAYESIAN)),
    "tuning_hyperband_warm": ("CreateHyperParameterTuningJob", _tuning(HYPERBAND)),
}


def golden_file(name: str) -> Path:
    return GOLDEN / f"{name}.json"


if __name__ == "__main__":
    for each, (_, request) in REQUESTS.items():
        golden_file(each).write_text(json.dumps(request(), indent=2) + "\n", encoding="utf-8")
        print(golden_file(each))
