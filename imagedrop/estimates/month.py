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
from imagedrop.estimates.changes import changes_cost
from imagedrop.estimates.stack import (
    BATCH_IMAGES,
    ENDPOINT_MEGABYTES,
    IMAGE_BYTES,
    LAMBDA_MEGABYTES,
    ORDER_WRITES_PER_IMAGE,
    WEBP_IMAGE_BYTES,
    WRITES_PER_IMAGE,
)
from imagedrop.estimates.usage import DropUsage
from pipeline.classify_images import PARALLEL_IMAGES

# Assumed: a serverless endpoint has a vCPU for each 2 GB; Lambda gives one for each 1.77 GB.
ENDPOINT_VCPUS = ENDPOINT_MEGABYTES / 2048
# Of a batch: our line, the metrics', and Lambda's own of its start and its end.
BATCH_LOG_BYTES = 2000
IMAGE_LOG_BYTES = 27  # its id, and its seconds from drop to row
# An answer: the five best labels of an image.
ANSWER_BYTES = 420
GIGABYTE = 1e9
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
    return usage_cost(full_batches(images))


def full_batches(images: int) -> DropUsage:
    """Returns what images use that wait in the queue, so that every batch is full."""
    answer_cpu_seconds = 1 / SERVED_IMAGES_PER_SECOND_PER_VCPU + WEBP_DECODE_CPU_MILLISECONDS / 1000
    answer_seconds = answer_cpu_seconds / ENDPOINT_VCPUS
    # Reading (waiting) runs beside preparing and encoding (computing).
    computing = READ_CPU_MILLISECONDS + PREPARE_CPU_MILLISECONDS + WEBP_ENCODE_CPU_MILLISECONDS
    read_and_prepare = max(computing, READ_MILLISECONDS / PARALLEL_IMAGES)
    write = max(PUT_ITEM_CPU_MILLISECONDS, PUT_ITEM_MILLISECONDS / PARALLEL_IMAGES)
    return DropUsage(
        images=images,
        batches=images / BATCH_IMAGES,
        # The function waits for the endpoint.
        function_seconds=images * ((read_and_prepare + write) / 1000 + answer_seconds),
        answer_seconds=images * answer_seconds,
        capacity=str(ENDPOINT_MEGABYTES),
    )


def usage_cost(used: DropUsage) -> dict[str, float]:
    """Returns the dollars of dropped images by item.

    Raises:
        KeyError: the price of that instance type is not known.
    """
    millions = used.images / 1e6
    log_bytes = used.batches * BATCH_LOG_BYTES + used.images * IMAGE_LOG_BYTES
    return {
        # Sent by S3 one by one, received and deleted by batches: none has more than ten.
        "queue": (used.images + 2 * used.batches) / 1e6 * prices.SQS_MILLION_REQUESTS.dollars,
        "lambda": used.function_seconds * LAMBDA_MEGABYTES / 1024 * prices.LAMBDA_GB_SECOND.dollars
        + used.batches / 1e6 * prices.LAMBDA_MILLION_REQUESTS.dollars,
        "s3 requests": millions * prices.S3_MILLION_GETS.dollars,
        **_endpoint(used),
        "table": millions * WRITES_PER_IMAGE * prices.TABLE_MILLION_WRITES.dollars,
        "table, order by confidence": millions
        * ORDER_WRITES_PER_IMAGE
        * prices.TABLE_MILLION_WRITES.dollars,
        "history and counters": changes_cost(used.images),
        "logs": log_bytes / GIGABYTE * prices.LOGS_GB.dollars,
    }


def _endpoint(used: DropUsage) -> dict[str, float]:
    if not used.capacity.isdecimal():
        hourly = prices.ENDPOINT_INSTANCE_HOURS[used.capacity].dollars
        gigabytes = used.images * (IMAGE_BYTES + ANSWER_BYTES) / GIGABYTE
        return {
            "endpoint, instances": used.instance_seconds / 3600 * hourly,
            "endpoint, data": gigabytes * prices.ENDPOINT_DATA_GB.dollars,
        }
    gigabyte_seconds = used.answer_seconds * int(used.capacity) / 1024
    gigabytes = used.images * (WEBP_IMAGE_BYTES + ANSWER_BYTES) / GIGABYTE
    return {
        "endpoint, seconds": gigabyte_seconds * prices.SERVERLESS_ENDPOINT_GB_SECOND.dollars,
        "endpoint, data": gigabytes * prices.ENDPOINT_DATA_GB.dollars,
    }
