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
import tempfile
from pathlib import Path

from bench.standing import OURS, Bar, Section

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

OURS_PROGRAM = """
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


def cpu_ms(program: str, byte_code: str) -> float:
    environment = ENVIRONMENT | {"PYTHONPYCACHEPREFIX": byte_code}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def standing(rounds: int = RUNS) -> Section:
    """Measures both, in turn."""
    programs = {"empty": "", "typical function": TYPICAL, OURS: OURS_PROGRAM}
    times: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as byte_code:
        for _ in range(rounds + 1):
            for name, program in programs.items():
                times[name].append(cpu_ms(program, byte_code))
    empty = statistics.median(times["empty"][1:])
    values = {name: [each - empty for each in times[name][1:]] for name in list(programs)[1:]}
    ratio = statistics.median(values[OURS]) / statistics.median(values["typical function"])
    return Section(
        "start",
        "Starting ClassifyFunction",
        "CPU ms",
        values,
        [Bar("ours / typical ≤ 0.40", ratio, 0.4, False)],
        notes=[f"An empty program's {empty:.0f} ms are taken off."],
    )


def main() -> None:
    print(standing().text())


if __name__ == "__main__":
    main()
