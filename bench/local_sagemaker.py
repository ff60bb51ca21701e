"""Measures the stand-in for SageMaker: start, memory, CPU and time of a proxied call.

    PYTHONPATH=functions:. python bench/local_sagemaker.py

Each payload is sent through the stand-in, and directly to a container that answers at once, by the
same raw HTTP client; the difference is the cost of the stand-in. Transform jobs use a fake S3.
"""

from __future__ import annotations

import http.client
import tempfile
import time
from pathlib import Path

import psutil

from tests.integration.sagemaker import fake_s3, fake_serving
from tests.integration.sagemaker.stand_in import BUCKET, StandIn, until

CALLS = 1_500
PAYLOADS = {"1 byte": 1, "1 image (150,528 B)": 150_528, "27 images (4.06 MB)": 4_064_256}
# Name, objects, bytes each: packed shards of 64 images, and photos as they are.
JOBS = (("shards", 200, 64 * 150_528 + 128), ("photos", 500, 40_000))
ECHO = """
import argparse, uvicorn
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2"), (b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"[]"})
p = argparse.ArgumentParser()
[p.add_argument(f"--{n}") for n in ("model-dir", "host", "port")]
a = p.parse_args()
uvicorn.run(app, host=a.host, port=int(a.port), lifespan="off", log_level="error",
            timeout_keep_alive=75)
"""


def main() -> None:
    """Print a table."""
    fake_serving.PROGRAM = ECHO
    with fake_s3.running() as s3, tempfile.TemporaryDirectory() as folder:
        s3.objects[f"{BUCKET}/v1/model.tar.gz"] = fake_serving.build_archive("v1")
        stand_in = StandIn(Path(folder) / "state", s3.url)
        began = time.perf_counter()
        stand_in.start()
        print(f"start to first answer: {time.perf_counter() - began:.2f} s")
        assert stand_in.process is not None
        own = stand_in.process.pid
        print(f"memory after start: {_resident_mb(own):.0f} MB, CPU {_cpu_seconds(own):.2f} s")
        stand_in.create_endpoint("bench", InstanceType="ml.m5.xlarge", InitialInstanceCount=1)
        print(f"memory with an endpoint: {_resident_mb(own):.0f} MB")
        container, port = _container(own)
        for name, size in PAYLOADS.items():
            _measure(name, size, (own, stand_in.port), (container, port))
        print(f"memory after all calls: {_resident_mb(own):.0f} MB")
        fake_s3.LISTING_PAGE = 1000
        for name, count, size in JOBS:
            s3.objects.update(dict.fromkeys(_keys(name, count), b"x" * size))
            _measure_job(stand_in, own, name, count)
        stand_in.end()


def _keys(job: str, count: int) -> list[str]:
    return [f"{job}/in/{number:04}" for number in range(count)]


def _measure_job(stand_in: StandIn, own: int, name: str, count: int) -> None:
    """A whole job, its container's start included; CPU is the stand-in's alone."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/in/"}}
    cpu, began = _cpu_seconds(own), time.perf_counter()
    stand_in.sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName="bench",
        MaxConcurrentTransforms=2,
        MaxPayloadInMB=20,
        TransformInput={"ContentType": "application/x-npy", "DataSource": source},
        TransformOutput={"S3OutputPath": f"s3://{name}/out"},
        TransformResources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    )
    until(lambda: _status(stand_in, name) != "InProgress", seconds=300)
    seconds = time.perf_counter() - began
    assert _status(stand_in, name) == "Completed"
    print(
        f"job of {count} {name:10} {seconds:5.1f} s, {1e3 * seconds / count:5.1f} ms an object "
        f"(stand-in CPU {1e3 * (_cpu_seconds(own) - cpu) / count:4.1f} ms), "
        f"memory {_resident_mb(own):.0f} MB"
    )


def _status(stand_in: StandIn, job: str) -> str:
    description = stand_in.sagemaker.describe_transform_job(TransformJobName=job)
    status: str = description["TransformJobStatus"]
    return status


def _measure(name: str, size: int, stand_in: tuple[int, int], container: tuple[int, int]) -> None:
    """Both are (process id, port). CPU is user and system time of that process alone."""
    calls = CALLS if size < 1_000_000 else CALLS // 5
    body = b"x" * size
    straight, container_cpu = _cost(container, "/invocations", body, calls)
    through, own_cpu = _cost(stand_in, "/endpoints/bench/invocations", body, calls)
    print(
        f"{name:22} straight {straight:6.0f} us (container CPU {container_cpu:5.0f} us)  "
        f"through {through:6.0f} us (stand-in CPU {own_cpu:5.0f} us)  "
        f"{1e6 / through:5.0f} calls/s"
    )


def _cost(server: tuple[int, int], path: str, body: bytes, calls: int) -> tuple[float, float]:
    """Wall time and the server's CPU time of a call, in microseconds."""
    process_id, port = server
    cpu = _cpu_seconds(process_id)
    seconds = _seconds_a_call(port, path, body, calls)
    return 1e6 * seconds, 1e6 * (_cpu_seconds(process_id) - cpu) / calls


def _seconds_a_call(port: int, path: str, body: bytes, calls: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(calls):
        connection.request("POST", path, body, {"Content-Type": "application/x-npy"})
        answer = connection.getresponse()
        assert answer.read() == b"[]", answer.status
    return (time.perf_counter() - began) / calls


def _container(parent: int) -> tuple[int, int]:
    child = psutil.Process(parent).children()[0]
    command = child.cmdline()
    return child.pid, int(command[command.index("--port") + 1])


def _cpu_seconds(process_id: int) -> float:
    times = psutil.Process(process_id).cpu_times()
    return float(times.user + times.system)


def _resident_mb(process_id: int) -> float:
    return float(psutil.Process(process_id).memory_info().rss) / 1e6


if __name__ == "__main__":
    main()
