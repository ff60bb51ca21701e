"""A training container's folders under /opt/ml, its variables and its arguments.

As SageMaker's training toolkit makes them from hyperparameters, channels and resources
(https://github.com/aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.sagemaker.container import inherited

PROGRAM, SOURCES = "sagemaker_program", "sagemaker_submit_directory"
# Hyperparameters that the toolkit does not pass on.
_RESERVED = ("sagemaker_", "_tuning_objective_metric")
HOST = "algo-1"
_INTERFACE = "eth0"


class OptMl:
    """The folders of one job; ``root`` is /opt/ml."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "input" / "config"
        self.data = root / "input" / "data"
        self.code = root / "code"
        self.model = root / "model"
        self.checkpoints = root / "checkpoints"
        self.output = root / "output"
        self.output_data = root / "output" / "data"
        self.failure = root / "output" / "failure"

    def lay_out(self, job: Mapping[str, Any]) -> None:
        """Make the folders, and the files that tell the container about its job."""
        for folder in (
            *(self.config, self.data, self.code, self.model),
            *(self.checkpoints, self.output_data),
        ):
            folder.mkdir(parents=True, exist_ok=True)
        files = {
            "hyperparameters": job.get("HyperParameters", {}),
            "inputdataconfig": _input_data_config(job),
            "resourceconfig": _resource_config(job),
        }
        for name, content in files.items():
            (self.config / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")

    def channel(self, name: str) -> Path:
        return self.data / name


def all_hyperparameters(job: Mapping[str, Any]) -> dict[str, Any]:
    """Each decoded as JSON, or the text itself where it is none."""
    decoded = {}
    for name, text in job.get("HyperParameters", {}).items():
        try:
            decoded[name] = json.loads(text)
        except ValueError:
            decoded[name] = text
    return decoded


def users_hyperparameters(job: Mapping[str, Any]) -> dict[str, Any]:
    """Those for the program."""
    return {
        name: value
        for name, value in all_hyperparameters(job).items()
        if not name.startswith(_RESERVED)
    }


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """``--name value`` for each, by name; one letter has one dash."""
    return [
        word
        for name, value in sorted(hyperparameters.items())
        for word in (f"--{name}" if len(name) > 1 else f"-{name}", _argument(value))
    ]


def environment(job: Mapping[str, Any], folders: OptMl, region: str) -> dict[str, str]:
    """Everything that the program sees: SM_* as the toolkit sets them, and the request's own."""
    hyperparameters = users_hyperparameters(job)
    channels = sorted(each["ChannelName"] for each in job.get("InputDataConfig", []))
    program = str(all_hyperparameters(job)[PROGRAM])
    values: dict[str, Any] = {
        "channels": channels,
        "current_host": HOST,
        "current_instance_type": job["ResourceConfig"]["InstanceType"],
        "hosts": [HOST],
        "hps": hyperparameters,
        "input_config_dir": str(folders.config),
        "input_data_config": _input_data_config(job),
        "input_dir": str(folders.root / "input"),
        "log_level": 20,
        "model_dir": str(folders.model),
        "module_dir": str(all_hyperparameters(job)[SOURCES]),
        "module_name": program.removesuffix(".py"),
        "network_interface_name": _INTERFACE,
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "output_data_dir": str(folders.output_data),
        "output_dir": str(folders.output),
        "output_intermediate_dir": str(folders.output / "intermediate"),
        "resource_config": _resource_config(job),
        "user_args": arguments(hyperparameters),
        "user_entry_point": program,
    }
    values |= {f"channel_{name}": str(folders.channel(name)) for name in channels}
    values |= {f"hp_{name}": value for name, value in hyperparameters.items()}
    return {
        **inherited(),
        **{f"SM_{name.upper()}": _variable(value) for name, value in values.items()},
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
        "AWS_REGION": region,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(folders.code),
        **job.get("Environment", {}),
    }


def _argument(value: object) -> str:
    return "" if value is None else str(value)


def _variable(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _input_data_config(job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        each["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        for each in job.get("InputDataConfig", [])
    }


def _resource_config(job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "current_host": HOST,
        "current_instance_type": job["ResourceConfig"]["InstanceType"],
        "hosts": [HOST],
        "network_interface_name": _INTERFACE,
    }
