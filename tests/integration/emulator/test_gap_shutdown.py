"""Contract: an emulator ends at once during executions, and loses only them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from localcloud import processes
from tests.integration.emulator.emulator_harness import (
    eventually,
    outputs,
    python_function,
    start_emulator,
)
from tests.integration.emulator.fake_sagemaker import running_fake_sagemaker

_GRACE_SECONDS = 60.0
_HANG = """
import os, pathlib, time

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / f"begun-{os.getpid()}").touch()
    time.sleep(600)
"""


def _map_then_transform(function: str) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": function, "TimeoutSeconds": 900, "End": True}
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60}]
    each = {
        "Type": "Map",
        "MaxConcurrency": 2,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Item",
            "States": {"Item": {**task, "Retry": retry}},
        },
        "End": True,
    }
    return {"StartAt": "Each", "States": {"Each": each}}


def test_executions_fail_and_objects_are_kept_after_a_restart(
    tmp_path: Path,
) -> None:
    hanging = python_function(_HANG)
    hanging["Properties"]["Timeout"] = 900
    template = {
        "Resources": {"Function": hanging, "Work": {"Type": "AWS::S3::Bucket"}},
        "Outputs": outputs(Function={"Fn::GetAtt": ["Function", "Arn"]}, Work={"Ref": "Work"}),
    }
    transform = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
        "Parameters": {"TransformJobName": "goes-on"},
        "End": True,
    }
    with running_fake_sagemaker() as sagemaker:
        sagemaker.jobs_end = None
        first = start_emulator(tmp_path, sagemaker)
        try:
            stack = first.deploy("restarted", template)
            first.client("s3").put_object(Bucket=stack["Work"], Key="work/a.npy", Body=b"pixels")
            machine = first.state_machine("maps", _map_then_transform(stack["Function"]))
            mapping = first.start(machine, [{"folder": str(tmp_path)}] * 5)
            waits = {"StartAt": "Transform", "States": {"Transform": transform}}
            transforming = first.start(first.state_machine("transforms", waits))
            begun = eventually(lambda: _two(list(tmp_path.glob("begun-*"))))
            eventually(lambda: "goes-on" in sagemaker.jobs)
            asked = time.monotonic()
        finally:
            processes.stop(first.process, grace_seconds=_GRACE_SECONDS)
        assert time.monotonic() - asked < _GRACE_SECONDS / 2
        assert sagemaker.jobs["goes-on"]["TransformJobStatus"] == "InProgress"
        pids = [int(file.name.partition("-")[2]) for file in begun]
        assert not any(processes.identity_of(pid) for pid in pids)

        second = start_emulator(tmp_path, sagemaker)
        try:
            for execution in (mapping, transforming):
                ended = second.ended(execution)
                assert (ended["status"], ended["error"]) == ("FAILED", "States.ServiceRestart")
            s3 = second.client("s3")
            kept = s3.get_object(Bucket=stack["Work"], Key="work/a.npy")["Body"].read()
            assert kept == b"pixels"
        finally:
            processes.stop(second.process, grace_seconds=_GRACE_SECONDS)


def _two(files: list[Path]) -> list[Path] | None:
    return files if len(files) == 2 else None
