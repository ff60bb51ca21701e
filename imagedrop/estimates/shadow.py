"""Estimates the cost of a candidate that answers a share of the dropped images."""

from __future__ import annotations

from imagedrop.estimates import prices
from imagedrop.estimates.bulk_run import (
    PREPARE_CPU_MILLISECONDS,
    PUT_ITEM_MILLISECONDS,
    READ_MILLISECONDS,
    SERVED_IMAGES_PER_SECOND_PER_VCPU,
)
from imagedrop.estimates.changes import changes_cost
from imagedrop.estimates.month import ANSWER_BYTES, ENDPOINT_VCPUS, GIGABYTE
from imagedrop.estimates.stack import (
    CHANGES_BATCH_ROWS,
    ENDPOINT_MEGABYTES,
    IMAGE_BYTES,
    LAMBDA_MEGABYTES,
    ORDER_WRITES_PER_IMAGE,
    WRITES_PER_IMAGE,
)

# Assumed: of a batch of rows of which none is shown to the candidate.
LOOK_SECONDS = 0.05


def shadow_cost(images: int, share: float) -> float:
    """Returns dollars: each image of the share is read, prepared, answered and written once more.

    It is sent as npy. Its answer is a write of the row and of the row's entries in the indexes, and
    a change of the stream. Of the other images the function only reads the row's change.
    """
    shown, batches = images * share, images / CHANGES_BATCH_ROWS
    answer_seconds = 1 / SERVED_IMAGES_PER_SECOND_PER_VCPU / ENDPOINT_VCPUS
    own_seconds = (READ_MILLISECONDS + PREPARE_CPU_MILLISECONDS + PUT_ITEM_MILLISECONDS) / 1000
    function_seconds = shown * (own_seconds + answer_seconds) + batches * LOOK_SECONDS
    function = (
        function_seconds * LAMBDA_MEGABYTES / 1024 * prices.LAMBDA_GB_SECOND.dollars
        + batches / 1e6 * prices.LAMBDA_MILLION_REQUESTS.dollars
    )
    gigabyte_seconds = shown * answer_seconds * ENDPOINT_MEGABYTES / 1024
    gigabytes = shown * (IMAGE_BYTES + ANSWER_BYTES) / GIGABYTE
    endpoint = (
        gigabyte_seconds * prices.SERVERLESS_ENDPOINT_GB_SECOND.dollars
        + gigabytes * prices.ENDPOINT_DATA_GB.dollars
    )
    writes = shown * (WRITES_PER_IMAGE + ORDER_WRITES_PER_IMAGE)
    rows = (
        shown / 1e6 * prices.S3_MILLION_GETS.dollars
        + writes / 1e6 * prices.TABLE_MILLION_WRITES.dollars
    )
    return function + endpoint + rows + changes_cost(round(shown))
