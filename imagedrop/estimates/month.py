"""Estimates the monthly cost of images on AWS, dropped one by one or as a bulk run.

Both without their common costs: putting the images into S3 and keeping them, keeping the rows.
"""

from __future__ import annotations

from enum import StrEnum

from imagedrop.estimates import prices
from imagedrop.estimates.bulk_run import (
    PREPARE_CPU_MILLISECONDS,
    PUT_ITEM_CPU_MILLISECONDS,
    PUT_ITEM_MILLISECONDS,
    READ_CPU_MILLISECONDS,
    READ_MILLISECONDS,
    SERVED_IMAGES_PER_SECOND_PER_VCPU,
    RunSettings,
    size_run,
)
from imagedrop.estimates.stack import (
    BATCH_IMAGES,
    CHANGES_BATCH_ROWS,
    ENDPOINT_MEGABYTES,
    LAMBDA_MEGABYTES,
    ORDER_WRITES_PER_IMAGE,
    WEBP_IMAGE_BYTES,
    WRITES_PER_IMAGE,
)
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.retries import BATCH_MESSAGES

# Assumed: a serverless endpoint has a vCPU for each 2 GB; Lambda gives one for each 1.77 GB.
ENDPOINT_VCPUS = ENDPOINT_MEGABYTES / 2048
# Of a batch: our line, the metrics', and Lambda's own of its start and its end.
# With the id of each image, and its seconds from drop to row.
BATCH_LOG_BYTES = 2000 + BATCH_IMAGES * 27
# Assumed: a transaction costs double, for the shard's mark and a day's counters of up to 5 kB.
CHANGES_BATCH_WRITES = 12
# Assumed: a tenth of a second with 512 MB.
CHANGES_CALL_GB_SECONDS = 0.05
# An answer: the five best labels of an image.
ANSWER_BYTES = 420
# Measured: python -m bench.pixel_encodings, medians.
WEBP_ENCODE_CPU_MILLISECONDS = 1.8
WEBP_DECODE_CPU_MILLISECONDS = 1.2


class Mode(StrEnum):
    DROP = "drop"
    BULK = "bulk"


def month_of(images: int, mode: Mode) -> dict[str, float]:
    """Returns dollars by item."""
    return drop_cost(images) if mode is Mode.DROP else bulk_cost(images)


def bulk_cost(images: int) -> dict[str, float]:
    """Returns the dollars of one run of all images, with the default settings of ``bulk start``."""
    return size_run(images, RunSettings()).cost_dollars


def drop_cost(images: int) -> dict[str, float]:
    """Returns the dollars of full batches to the serverless endpoint (instances cost hours)."""
    millions = images / 1e6
    answer_cpu_seconds = 1 / SERVED_IMAGES_PER_SECOND_PER_VCPU + WEBP_DECODE_CPU_MILLISECONDS / 1000
    answer_seconds = answer_cpu_seconds / ENDPOINT_VCPUS
    # Reading (waiting) runs beside preparing and encoding (computing).
    computing = READ_CPU_MILLISECONDS + PREPARE_CPU_MILLISECONDS + WEBP_ENCODE_CPU_MILLISECONDS
    read_and_prepare = max(computing, READ_MILLISECONDS / PARALLEL_IMAGES)
    write = max(PUT_ITEM_CPU_MILLISECONDS, PUT_ITEM_MILLISECONDS / PARALLEL_IMAGES)
    # The function waits for the endpoint.
    function_seconds = (read_and_prepare + write) / 1000 + answer_seconds
    function_gigabyte_seconds = function_seconds * LAMBDA_MEGABYTES / 1024
    gigabyte = 1e9
    return {
        "queue": millions
        * (1 + 2 / BATCH_MESSAGES)  # sent by S3 one by one, received and deleted in tens
        * prices.SQS_MILLION_REQUESTS.dollars,
        "lambda": images * function_gigabyte_seconds * prices.LAMBDA_GB_SECOND.dollars
        + millions / BATCH_IMAGES * prices.LAMBDA_MILLION_REQUESTS.dollars,
        "s3 requests": millions * prices.S3_MILLION_GETS.dollars,
        "endpoint, seconds": images
        * answer_seconds
        * ENDPOINT_MEGABYTES
        / 1024
        * prices.SERVERLESS_ENDPOINT_GB_SECOND.dollars,
        "endpoint, data": images
        * (WEBP_IMAGE_BYTES + ANSWER_BYTES)
        / gigabyte
        * prices.SERVERLESS_ENDPOINT_DATA_GB.dollars,
        "table": millions * WRITES_PER_IMAGE * prices.TABLE_MILLION_WRITES.dollars,
        "table, order by confidence": millions
        * ORDER_WRITES_PER_IMAGE
        * prices.TABLE_MILLION_WRITES.dollars,
        "history and counters": changes_cost(images),
        "logs": images / BATCH_IMAGES * BATCH_LOG_BYTES / gigabyte * prices.LOGS_GB.dollars,
    }


def changes_cost(images: int) -> float:
    """Returns the dollars of recording new rows from the table's stream, in full batches."""
    batches = images / CHANGES_BATCH_ROWS
    calls = batches * CHANGES_CALL_GB_SECONDS * prices.LAMBDA_GB_SECOND.dollars
    millions = CHANGES_BATCH_WRITES * prices.TABLE_MILLION_WRITES.dollars
    return calls + batches / 1e6 * (millions + prices.LAMBDA_MILLION_REQUESTS.dollars)
