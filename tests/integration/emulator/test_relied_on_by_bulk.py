"""MiniStack's behaviour that bulk runs rely on; a newer MiniStack must keep it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulator.emulator_harness import (
    Emulator,
    eventually,
    outputs,
    python_function,
)

# Fails for names with bad; for names with hang it leaves its process id and waits.
_PER_ITEM = """
import os, pathlib, time

def handler(event, context):
    if event.get("item", {}).get("chunk") == "bad":
        raise ValueError("as asked")
    if "hang_once" in event:
        file = pathlib.Path(event["hang_once"])
        if not file.exists():
            file.write_text(str(os.getpid()))
            time.sleep(600)
    return {"pid": os.getpid(), **event}
"""


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    template = {
        "Resources": {"Function": python_function(_PER_ITEM)},
        "Outputs": outputs(Function={"Fn::GetAtt": ["Function", "Arn"]}),
    }
    return emulator.deploy("bulk-function", template)["Function"]


@pytest.fixture(scope="module")
def bucket(emulator: Emulator) -> str:
    emulator.client("s3").create_bucket(Bucket="bulk-work")
    return "bulk-work"


def _map_over_file(function: str, tolerated_percentage: float) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": function, "End": True}
    each = {
        "Type": "Map",
        "Label": "Each",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {
                "Bucket.$": "$.bucket",
                "Key.$": "States.Format('work/{}/chunks-{}.json', $.run, $.round)",
            },
        },
        "ItemSelector": {
            "input.$": "$$.Execution.Input",
            "round.$": "$.round",
            "item.$": "$$.Map.Item.Value",
        },
        "ToleratedFailurePercentage": tolerated_percentage,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Item",
            "States": {"Item": task},
        },
        "ResultPath": "$.results",
        "End": True,
    }
    return {"StartAt": "Each", "States": {"Each": each}}


def _run_map(
    emulator: Emulator, function: str, bucket: str, chunks: list[str], tolerated: float
) -> dict[str, Any]:
    name = f"map-{len(chunks)}-{tolerated}".replace(".", "-")
    content = json.dumps([{"chunk": chunk} for chunk in chunks]).encode()
    emulator.client("s3").put_object(Bucket=bucket, Key=f"work/{name}/chunks-0.json", Body=content)
    machine = emulator.state_machine(name, _map_over_file(function, tolerated))
    return emulator.ended(emulator.start(machine, {"bucket": bucket, "run": name, "round": 0}))


def test_distributed_map_takes_its_items_from_a_file(
    emulator: Emulator, function: str, bucket: str
) -> None:
    ended = _run_map(emulator, function, bucket, ["000", "001", "002"], 0)

    results = json.loads(ended["output"])["results"]
    assert [result["item"]["chunk"] for result in results] == ["000", "001", "002"]
    assert results[0]["input"]["bucket"] == bucket
    assert results[0]["round"] == 0


def test_distributed_map_over_nothing_succeeds(
    emulator: Emulator, function: str, bucket: str
) -> None:
    ended = _run_map(emulator, function, bucket, [], 0)

    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["results"] == []


@pytest.mark.parametrize(("tolerated", "status"), [(50, "SUCCEEDED"), (49.9, "FAILED")])
def test_as_many_items_may_fail_as_are_tolerated(
    emulator: Emulator, function: str, bucket: str, tolerated: float, status: str
) -> None:
    ended = _run_map(emulator, function, bucket, ["bad", "001"], tolerated)

    assert ended["status"] == status
    if status == "FAILED":
        assert ended["error"] == "States.ExceedToleratedFailureThreshold"


def test_everything_may_fail_where_all_of_it_is_tolerated(
    emulator: Emulator, function: str, bucket: str
) -> None:
    assert _run_map(emulator, function, bucket, ["bad"], 100)["status"] == "SUCCEEDED"


def test_killed_function_fails_its_task_and_the_retry_gets_a_process_of_its_own(
    emulator: Emulator, function: str, tmp_path: Path
) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 0, "MaxAttempts": 1}]
    task = {"Type": "Task", "Resource": function, "Retry": retry, "End": True}
    machine = emulator.state_machine("killed", {"StartAt": "T", "States": {"T": task}})
    file = tmp_path / "pid"
    execution = emulator.start(machine, {"hang_once": str(file)})
    killed = eventually(lambda: file.exists() and int(file.read_text() or 0))

    os.kill(killed, signal.SIGKILL)

    ended = emulator.ended(execution)
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["pid"] != killed


def test_state_machine_s_events_reach_the_rules_of_the_bus(emulator: Emulator) -> None:
    queue = {"Fn::GetAtt": ["Queue", "Arn"]}
    rule = {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "EventPattern": {"source": ["imagedrop.bulk"], "detail-type": ["Bulk run finished"]},
            "Targets": [{"Id": "queue", "Arn": queue}],
        },
    }
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "Rule": rule},
        "Outputs": outputs(Queue={"Ref": "Queue"}),
    }
    stack = emulator.deploy("events", template)
    entry = {
        "Source": "imagedrop.bulk",
        "DetailType": "Bulk run finished",
        "Detail.$": "$.summary",
        "EventBusName": "default",
    }
    announce = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Parameters": {"Entries": [entry]},
        "End": True,
    }
    machine = emulator.state_machine("announces", {"StartAt": "A", "States": {"A": announce}})

    summary = {"run": "cats-1", "status": "COMPLETE", "classified": 3}
    ended = emulator.ended(emulator.start(machine, {"summary": summary}))

    assert json.loads(ended["output"])["FailedEntryCount"] == 0
    sqs = emulator.client("sqs")
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=stack["Queue"]).get("Messages"))
    event = json.loads(message["Body"])
    assert (event["source"], event["detail"]) == ("imagedrop.bulk", summary)


def _keys() -> list[str]:
    odd = [
        "a b.jpg",
        "a+b.jpg",
        "a%20b.jpg",
        "100%.jpg",
        "é/ü.jpg",
        "😀.jpg",
        "a&b<c>.jpg",
        "#?.jpg",
    ]
    return sorted((f"in/{name}" for name in odd), key=lambda key: key.encode())


def test_versions_are_listed_page_by_page_in_order_with_any_key(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    expected = []
    for key in _keys():
        first = s3.put_object(Bucket="versions", Key=key, Body=b"1")["VersionId"]
        second = s3.put_object(Bucket="versions", Key=key, Body=b"22")["VersionId"]
        marker = s3.delete_object(Bucket="versions", Key=key)["VersionId"]
        expected += [(key, marker), (key, second), (key, first)]
    s3.put_object(Bucket="versions", Key="other", Body=b"not below the prefix")

    found: list[tuple[str, str]] = []
    for size in (1, 2, 5, 1000):
        found = []
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket="versions", Prefix="in/", PaginationConfig={"PageSize": size}
        )
        for page in pages:
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            assert len(entries) <= size
            # A page holds two lists; newer versions still come before older ones.
            newest_first = sorted(entries, key=lambda e: expected.index((e["Key"], e["VersionId"])))
            found += [(entry["Key"], entry["VersionId"]) for entry in newest_first]
            assert all(e["IsLatest"] for e in page.get("DeleteMarkers", []))
            assert {e["Size"] for e in page.get("Versions", [])} <= {1, 2}
        assert found == expected, size


def test_objects_of_ten_megabytes_are_put_and_got(emulator: Emulator, bucket: str) -> None:
    s3 = emulator.client("s3")
    body = os.urandom(10 * 1024 * 1024)
    s3.put_object(Bucket=bucket, Key="shard.npy", Body=body)

    answer = s3.get_object(Bucket=bucket, Key="shard.npy")

    assert answer["ContentLength"] == len(body)
    assert answer["Body"].read() == body
    tail = s3.get_object(Bucket=bucket, Key="shard.npy", Range="bytes=0-127")["Body"].read()
    assert tail == body[:128]


def test_bucket_with_a_lifecycle_is_deployed(emulator: Emulator) -> None:
    rules = [
        {"Id": "work", "Prefix": "work/", "Status": "Enabled", "ExpirationInDays": 14},
        {
            "Id": "uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ]
    properties = {"LifecycleConfiguration": {"Rules": rules}}
    template = {
        "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}},
        "Outputs": outputs(Bucket={"Ref": "Bucket"}),
    }

    bucket = emulator.deploy("lifecycle", template)["Bucket"]

    emulator.client("s3").put_object(Bucket=bucket, Key="work/x", Body=b"x")
