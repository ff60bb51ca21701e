"""InvokeEndpoint as boto3 sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.stand_in import StandIn, client, is_alive, until

INSTANCE: dict[str, Any] = {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}


def invoke(stand_in: StandIn, name: str, body: bytes = b"x", **arguments: Any) -> dict[str, Any]:
    answer = stand_in.runtime.invoke_endpoint(EndpointName=name, Body=body, **arguments)
    return {**answer, "Body": json.loads(answer["Body"].read())}


def refusal(stand_in: StandIn, name: str, body: bytes = b"x", **arguments: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        stand_in.runtime.invoke_endpoint(EndpointName=name, Body=body, **arguments)
    response: dict[str, Any] = dict(caught.value.response)
    return response


def test_body_and_named_headers_reach_the_container_and_its_answer_comes_back(
    shared: StandIn, endpoint: str
) -> None:
    answer = invoke(
        shared,
        endpoint,
        b"y" * 3_000_000,
        ContentType="application/x-npy; spec=abc",
        Accept="application/json",
        CustomAttributes="trace=1",
    )
    assert answer["Body"]["bytes"] == 3_000_000
    headers = answer["Body"]["headers"]
    assert headers["content-type"] == "application/x-npy; spec=abc"
    assert headers["accept"] == "application/json"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert not [name for name in headers if "authorization" in name or "x-amz-date" in name]
    assert answer["CustomAttributes"] == "trace=1-answered"
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_container_runs_the_archive_s_own_code_without_our_environment(
    shared: StandIn, endpoint: str
) -> None:
    seen = invoke(shared, endpoint)["Body"]
    assert seen["cwd"].startswith(str(shared.state_dir / "models"))
    assert seen["environment"]["PYTHONPATH"] == seen["cwd"]
    assert not [name for name in seen["environment"] if name.startswith("AWS_")]


def test_missing_endpoint_is_a_validation_error(shared: StandIn) -> None:
    response = refusal(shared, "cats")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"]["Code"] == "ValidationError"
    assert response["Error"]["Message"] == "Endpoint cats of account 000000000000 not found."


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (409, "client"), (503, "server")])
def test_container_error_is_a_model_error_with_the_original(
    shared: StandIn, endpoint: str, status: int, side: str
) -> None:
    response = refusal(shared, endpoint, ContentType=f"status/{status}")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == '{"error": "as asked"}'
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")
    expected = (
        f'Received {side} error ({status}) from primary with message "{{"error": "as asked"}}"'
    )
    assert response["Error"]["Message"].startswith(expected)


def test_serverless_endpoint_refuses_more_than_4_mb(shared: StandIn, endpoint: str) -> None:
    assert invoke(shared, endpoint, b"y" * 4 * 1024 * 1024)["Body"]["bytes"] == 4 * 1024 * 1024
    response = refusal(shared, endpoint, b"y" * (4 * 1024 * 1024 + 1))
    assert response["Error"]["Code"] == "ValidationError"
    assert response["Error"]["Message"].endswith("has oversize body.")


def test_instance_endpoint_refuses_more_than_6_mb(shared: StandIn) -> None:
    shared.create_endpoint("instance", **INSTANCE)
    assert invoke(shared, "instance", b"y" * 6_291_456)["Body"]["bytes"] == 6_291_456
    response = refusal(shared, "instance", b"y" * 6_291_457)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert response["Error"]["Code"] == "413"
    assert response["Error"]["Message"] == "HTTP content length exceeded 6291456 bytes."


def test_serverless_answer_above_4_mb_is_a_model_error(shared: StandIn, endpoint: str) -> None:
    response = refusal(shared, endpoint, ContentType="large/4194305")
    assert response["Error"]["Code"] == "ModelError"
    assert "could not load the entire response body" in response["Error"]["Message"]


def test_serverless_concurrency_is_throttled(
    shared: StandIn, endpoint: str, tmp_path: Path
) -> None:
    def hold(_: int) -> int:
        runtime = client("sagemaker-runtime", shared.url)
        held = runtime.invoke_endpoint(EndpointName=endpoint, Body=f"hold {tmp_path}".encode())
        return int(held["ResponseMetadata"]["HTTPStatusCode"])

    with ThreadPoolExecutor(2) as pool:
        held = pool.map(hold, range(2))
        until(lambda: len(list(tmp_path.glob("waiting-*"))) == 2)
        response = refusal(shared, endpoint)
        (tmp_path / "go").touch()
    assert list(held) == [200, 200]
    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert invoke(shared, endpoint)["Body"]["version"] == "v1"


def test_caller_that_hangs_up_in_the_middle_leaves_the_endpoint_free(
    shared: StandIn, endpoint: str
) -> None:
    head = f"POST /endpoints/{endpoint}/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 900000"
    for _ in range(3):  # one more than the endpoint takes at once
        with socket.create_connection(("127.0.0.1", shared.port)) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode() + b"y" * 300_000)

    def answered() -> bool:
        try:
            return bool(invoke(shared, endpoint))
        except ClientError:
            return False

    until(answered, 5)


def test_dead_container_is_an_error_meanwhile_and_comes_back(stand_in: StandIn) -> None:
    stand_in.create_endpoint("mortal")
    before = invoke(stand_in, "mortal")["Body"]["pid"]
    response = refusal(stand_in, "mortal", ContentType="die/now")
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 0
    meanwhile = set()

    def answered() -> dict[str, Any] | None:
        try:
            return invoke(stand_in, "mortal")
        except ClientError as error:
            meanwhile.add(error.response["Error"]["Code"])
            return None

    assert until(answered)["Body"]["pid"] != before
    # ModelError only as long as the stand-in has not yet seen the process end.
    assert {"ServiceUnavailable"} <= meanwhile <= {"ServiceUnavailable", "ModelError"}
    assert stand_in.settled("mortal")["EndpointStatus"] == "InService"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_containers_end_with_the_stand_in(stand_in: StandIn, how: signal.Signals) -> None:
    stand_in.create_endpoint("one")
    stand_in.create_endpoint("two")
    containers = [invoke(stand_in, name)["Body"]["pid"] for name in ("one", "two")]
    assert all(is_alive(process_id) for process_id in containers)
    stand_in.end(how)
    until(lambda: not any(is_alive(process_id) for process_id in containers))


def test_listens_on_loopback_only(shared: StandIn) -> None:
    port = f"{shared.port:04X}"
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port}")
    ]
    assert listening == [f"0100007F:{port}"]


def test_unread_memory_stays_bounded_for_a_flood_of_oversize_bodies(
    shared: StandIn, endpoint: str
) -> None:
    assert shared.process is not None
    before = _resident_megabytes(shared.process.pid)
    for _ in range(5):
        refusal(shared, endpoint, b"y" * 30_000_000)
    assert _resident_megabytes(shared.process.pid) - before < 20


def _resident_megabytes(process_id: int) -> float:
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
