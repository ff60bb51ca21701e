"""Contract: a Map takes its concurrency from its input where the definition says so."""

from __future__ import annotations

from tests.integration.emulator.emulator_harness import Emulator


def test_distributed_map_takes_its_settings_from_its_input(emulator: Emulator) -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Item",
        "States": {"Item": {"Type": "Pass", "End": True}},
    }
    each = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrencyPath": "$.settings.at_once",
        "ToleratedFailurePercentagePath": "$.settings.percentage",
        "ItemProcessor": processor,
        "End": True,
    }
    machine = emulator.state_machine("settings", {"StartAt": "Each", "States": {"Each": each}})

    settings = {"at_once": 3, "percentage": 25}
    execution = emulator.start(machine, {"items": [1, 2], "settings": settings})

    assert emulator.ended(execution)["status"] == "SUCCEEDED"
    stepfunctions = emulator.client("stepfunctions")
    (summary,) = stepfunctions.list_map_runs(executionArn=execution)["mapRuns"]
    map_run = stepfunctions.describe_map_run(mapRunArn=summary["mapRunArn"])
    assert (map_run["maxConcurrency"], map_run["toleratedFailurePercentage"]) == (3, 25)
