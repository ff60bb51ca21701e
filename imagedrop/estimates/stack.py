"""The stack's own numbers that estimates need; a test compares each with template.yaml."""

from __future__ import annotations

LAMBDA_MEGABYTES = 1769  # of the functions that prepare images and write rows
STEPS_LAMBDA_MEGABYTES = 512  # of the one that lists, plans and reconciles bulk runs
LAMBDA_SECONDS = 900  # the longest call of a bulk function
BATCH_IMAGES = 10  # BatchSize: images per call of the function and of the endpoint
TRIES = 10  # maxReceiveCount of ImagesQueue
QUEUE_SECONDS = 345_600  # MessageRetentionPeriod of ImagesQueue
ENDPOINT_INSTANCES = 4  # MaxInstances of an endpoint on instances
SCALE_OUT_CALLS_A_MINUTE = 600  # TargetValue: more of them to an instance start another one
CHANGES_BATCH_ROWS = 100  # BatchSize: changes of the table per call of ChangesFunction
ENDPOINT_MEGABYTES = 2048
BULK_CONCURRENCY = 5
WORK_KEPT_DAYS = 14
WRITES_PER_IMAGE = 3  # the table, and its indexes by time and by label
# Of the index by confidence: a separate line, since a stack may not have it.
ORDER_WRITES_PER_IMAGE = 1
IMAGE_BYTES = 224 * 224 * 3  # of the default model's prepared image
# Of one as lossless WebP: mean of 194 photos of six sets, 52 to 78 kB a set.
WEBP_IMAGE_BYTES = 71_000
