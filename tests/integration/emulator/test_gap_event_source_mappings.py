"""Contract: a mapping whose numbers come from template parameters works."""

from __future__ import annotations

from tests.integration.emulator.emulator_harness import Emulator, outputs, python_function


def test_mapping_takes_its_numbers_and_switches_from_parameters(emulator: Emulator) -> None:
    template = {
        "Parameters": {
            "Concurrency": {"Type": "Number"},
            "Size": {"Type": "Number"},
            "On": {"Type": "String"},
        },
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Function": python_function("def handler(event, context): pass"),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                    "BatchSize": {"Ref": "Size"},
                    "Enabled": {"Ref": "On"},
                    "ScalingConfig": {"MaximumConcurrency": {"Ref": "Concurrency"}},
                },
            },
        },
        "Outputs": outputs(Mapping={"Ref": "Mapping"}),
    }

    stack = emulator.deploy("mapping", template, Concurrency="3", Size="5", On="false")
    mapping = emulator.client("lambda").get_event_source_mapping(UUID=stack["Mapping"])

    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 3}
    assert mapping["BatchSize"] == 5
    stored = emulator.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert [m["BatchSize"] for m in stored if m["UUID"] == stack["Mapping"]] == [5]
    assert "ESM SQS poller error" not in emulator.process.log_tail()
