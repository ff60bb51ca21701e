"""Checks the requests of training jobs and the definitions of tuning jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.sagemaker.errors import not_emulated, validation_exception
from localcloud.sagemaker.training_layout import PROGRAM, SOURCES


def check_training(job: Mapping[str, Any], hyperparameters: Mapping[str, str]) -> None:
    """Raise ``ServiceError`` for a request that SageMaker refuses or that is not emulated."""
    _check_code(job, hyperparameters)
    _check_machine(job)
    for channel in job.get("InputDataConfig", []):
        _check_channel(channel)
    _check_spot(job)


def _check_code(job: Mapping[str, Any], hyperparameters: Mapping[str, str]) -> None:
    algorithm = job.get("AlgorithmSpecification", {})
    if not algorithm.get("TrainingImage"):
        raise not_emulated("trainings without a TrainingImage")
    if algorithm["TrainingInputMode"] != "File":
        raise not_emulated(f"TrainingInputMode {algorithm['TrainingInputMode']} (only File)")
    for name in (PROGRAM, SOURCES):
        if name not in hyperparameters:
            raise not_emulated(f"trainings without the hyperparameter {name}")


def _check_machine(job: Mapping[str, Any]) -> None:
    machine = job.get("ResourceConfig", {})
    for member in ("InstanceType", "InstanceCount"):
        if not machine.get(member):
            raise validation_exception(f"{member} is required in ResourceConfig.")
    if machine["InstanceCount"] != 1:
        raise not_emulated("trainings on several machines")
    if not job.get("StoppingCondition"):
        raise validation_exception("StoppingCondition is required.")


def _check_channel(channel: Mapping[str, Any]) -> None:
    source = channel["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] != "S3Prefix":
        raise not_emulated("channels other than an S3Prefix")
    if channel.get("CompressionType", "None") != "None":
        raise not_emulated("compressed channels")
    if channel.get("InputMode", "File") != "File":
        raise not_emulated(f"InputMode {channel['InputMode']} (only File)")


def _check_spot(job: Mapping[str, Any]) -> None:
    stop = job["StoppingCondition"]
    wait_seconds = stop.get("MaxWaitTimeInSeconds")
    if not job.get("EnableManagedSpotTraining"):
        if wait_seconds is not None:
            raise validation_exception(
                "Invalid MaxWaitTimeInSeconds. It is supported only when EnableManagedSpotTraining "
                "is set to true"
            )
    elif wait_seconds is None or wait_seconds < stop.get("MaxRuntimeInSeconds", 86_400):
        raise validation_exception(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
