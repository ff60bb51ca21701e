"""Sends this project's requests with SageMaker's SDK; run by an interpreter that has it.

Prints one JSON object: `sent`, the arguments of CreateTrainingJob by golden file, and `images`,
pairs of the SDK's address of a container and this project's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from sagemaker.core import image_uris
from sagemaker.core.resources import TrainingJob
from sdk_job import create_with_sdk

from training.launch import images


def sent(request: dict[str, Any]) -> dict[str, Any]:
    client = mock.Mock()
    with (
        mock.patch.object(TrainingJob, "get_sagemaker_client", return_value=client),
        mock.patch("sagemaker.core.resources.Base.get_sagemaker_client", return_value=client),
        mock.patch.object(TrainingJob, "get"),
    ):
        create_with_sdk(request, region="us-east-1")
    arguments: dict[str, Any] = client.create_training_job.call_args.kwargs
    return arguments


def addresses() -> Iterator[tuple[str, str]]:
    for region in images.ACCOUNTS:
        for machine in ("ml.m5.xlarge", "ml.g5.xlarge"):
            common = {"region": region, "image_scope": "training", "instance_type": machine}
            yield (
                image_uris.retrieve("pytorch-amzn2023", version=images.TORCH_VERSION, **common),
                images.training_image(region, machine),
            )
            yield (
                image_uris.retrieve(
                    "pytorch",
                    version=images.DEBUGGER_TORCH_VERSION,
                    py_version=images.DEBUGGER_PYTHON,
                    **common,
                ),
                images.debugger_training_image(region, machine),
            )
    for region in images.RULE_ACCOUNTS:
        yield image_uris.retrieve("debugger", region=region), images.rule_image(region)


if __name__ == "__main__":
    golden = {name: json.loads(Path(name).read_bytes()) for name in sys.argv[1:]}
    print(
        json.dumps(
            {
                "sent": {name: sent(request) for name, request in golden.items()},
                "images": list(addresses()),
            }
        )
    )
