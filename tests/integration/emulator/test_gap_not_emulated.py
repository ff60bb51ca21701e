"""Contract: a stack with a resource of the named list deploys, and the log says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.emulator.emulator_harness import Emulator


def test_resource_that_is_not_emulated_is_logged_and_let_through(emulator: Emulator) -> None:
    template: dict[str, Any] = {
        "Resources": {
            "Target": {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Properties": {
                    "ServiceNamespace": "sagemaker",
                    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                    "ResourceId": "endpoint/e/variant/v",
                    "MinCapacity": 1,
                    "MaxCapacity": 4,
                },
            }
        }
    }

    emulator.deploy("not-emulated", template)
    template["Resources"]["Target"]["Properties"]["MaxCapacity"] = 5
    emulator.deploy("not-emulated", template)
    emulator.delete("not-emulated")

    log = Path(emulator.process.log).read_text()
    assert "AWS::ApplicationAutoScaling::ScalableTarget (Target) is not emulated" in log
