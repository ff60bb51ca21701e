"""Contract: a stack whose outputs alone have changed can be updated by a change set."""

from __future__ import annotations

import json

from tests.integration.emulator.emulator_harness import Emulator, eventually, outputs


def test_change_set_of_outputs_alone_is_executed(emulator: Emulator) -> None:
    queue = {"Queue": {"Type": "AWS::SQS::Queue"}}
    emulator.deploy("outputs", {"Resources": queue, "Outputs": outputs(Old="old")})
    cloudformation = emulator.client("cloudformation")
    new = {"Resources": queue, "Outputs": outputs(New="new")}

    change_set = cloudformation.create_change_set(
        StackName="outputs",
        ChangeSetName="outputs-alone",
        ChangeSetType="UPDATE",
        TemplateBody=json.dumps(new),
    )["Id"]

    described = cloudformation.describe_change_set(ChangeSetName=change_set)
    assert (described["Status"], described["Changes"]) == ("CREATE_COMPLETE", [])
    cloudformation.execute_change_set(ChangeSetName=change_set)

    def updated() -> bool:
        (stack,) = cloudformation.describe_stacks(StackName="outputs")["Stacks"]
        shown = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        return shown == {"New": "new"}

    assert eventually(updated)
