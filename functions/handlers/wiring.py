"""The adapters and use cases of the functions, made once per execution environment."""

from __future__ import annotations

import time
from functools import cache

from changes.journal_table import JournalTable
from imaging.decoder import Decoder
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.images_queue import ImagesQueue
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.circuit_breaker import GuardedEndpoint
from pipeline.classify_images import ClassifyImages
from pipeline.clients import BRIEF, PATIENT, client
from pipeline.events import utc_now
from pipeline.settings import Settings

settings = Settings()


@cache
def predictions_table() -> PredictionsTable:
    return PredictionsTable(client("dynamodb"), settings.predictions_table)


@cache
def journal_table() -> JournalTable:
    return JournalTable(client("dynamodb"), settings.journal_table)


@cache
def decoder() -> Decoder:
    """Returns the decoder of untrusted files; its process starts with the first file."""
    return Decoder()


@cache
def images_queue() -> ImagesQueue:
    sqs = client("sqs", BRIEF)
    return ImagesQueue(sqs, settings.images_queue_url, settings.dead_letter_queue_url)


@cache
def classify_images() -> ClassifyImages:
    endpoint = ModelEndpoint(client("sagemaker-runtime", PATIENT), settings.endpoint_name)
    return ClassifyImages(
        images=ImagesBucket(client("s3")),
        prepare=decoder().prepare,
        endpoint=GuardedEndpoint(endpoint, time.monotonic),
        predictions=PredictionsTable(client("dynamodb", BRIEF), settings.predictions_table),
        spec=settings.image_spec,
        encoding=settings.pixels_encoding,
        max_payload_bytes=settings.max_payload_bytes,
        now=utc_now,
    )
