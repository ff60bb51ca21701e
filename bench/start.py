"""Measures CPU time to start: ClassifyFunction beside the imports of a typical function.

    .venv/bin/python -m bench.start

Start means imports and clients, up to the point where the first event could be handled. Each is
run in a fresh interpreter, in turn with the other and with an empty program; the empty program's
time is taken off. Byte code is compiled before (the warm-up runs), for both.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 11

# As in tutorials for S3 -> Lambda -> SageMaker -> DynamoDB with Powertools.
TYPICAL = """
import boto3, numpy, PIL.Image, PIL.JpegImagePlugin, PIL.PngImagePlugin, PIL.WebPImagePlugin
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.parser import BaseModel, parse
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, idempotent
logger, metrics, tracer = Logger(), Metrics(), Tracer(disabled=True)
processor = BatchProcessor(event_type=EventType.SQS)
idempotency = DynamoDBPersistenceLayer(table_name="idempotency")
s3, runtime = boto3.client("s3"), boto3.client("sagemaker-runtime")
table = boto3.resource("dynamodb").Table("predictions")
"""

OURS = """
from handlers import classify, wiring
wiring.classify_images()
"""

SPEC = (
    '{"size":224,"resize":256,"crop":"center","interpolation":"bicubic",'
    '"mean":[127,127,127],"std":[128,128,128],"layout":"NHWC"}'
)
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT / "functions"),
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "bench",
    "PREDICTIONS_TABLE": "predictions",
    "ENDPOINT_NAME": "dogs",
    "MAX_PAYLOAD_BYTES": "4194304",
    "PIXELS_ENCODING": "webp",
    "IMAGES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/images",
    "IMAGE_SPEC": SPEC,
}


def cpu_ms(program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main() -> None:
    programs = {"empty": "", "typical": TYPICAL, "ours": OURS}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(RUNS + 1):
        for name, program in programs.items():
            times[name].append(cpu_ms(program))
    empty, typical, ours = (statistics.median(each[1:]) for each in times.values())
    print(f"start, CPU ms, medians of {RUNS} interleaved runs (an empty program's {empty:.0f} off)")
    print(f"  typical full set   {typical - empty:6.0f}")
    print(f"  ClassifyFunction   {ours - empty:6.0f}   {(ours - empty) / (typical - empty):.2f}x")


if __name__ == "__main__":
    main()
