"""Clients and settings, made once an execution environment, at the first event."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import Session, get_session

from imaging.decoder import Decoder
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.images_queue import ImagesQueue
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.circuit_breaker import GuardedEndpoint
from pipeline.classify_images import PARALLEL_IMAGES, ClassifyImages
from pipeline.events import utc_text
from pipeline.settings import ClassifySettings
from registry.served_model import ServedModel
from registry.served_model import served_model as model_behind

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3 import S3Client

# What a call may take at the longest decides when the last one may begin (`handlers/classify.py`);
# tests/unit/handlers/test_time_budget.py adds it up. Between attempts botocore's standard mode
# waits by full jitter: up to 1 s, 2 s, 4 s. S3 and DynamoDB answer in tens of milliseconds: QUICK
# is for reads at the start, BRIEF for what comes after the endpoint, which has 60 s by itself.
# What fails is tried again from the queue, so the endpoint call itself is not repeated here.
#
# Each image is a read and a write, so what botocore does anew at every call is a part of what an
# image costs. Two of these things nobody needs, together 0.3 ms of CPU an image: the walk over
# the parameters, whose types mypy knows (and the services check them too), and the user agent,
# put together twice a call from a dozen parts.
QUICK = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=PARALLEL_IMAGES,
    response_checksum_validation="when_required",
    parameter_validation=False,
    user_agent="imagedrop",
)
BRIEF = QUICK.merge(
    Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
)
PATIENT = Config(
    connect_timeout=1, read_timeout=61, retries={"mode": "standard", "total_max_attempts": 1}
)


@cache
def session() -> Session:
    # botocore's session without boto3's resource layer: it starts sooner.
    return get_session()


@cache
def client(service: str, config: Config = QUICK) -> Any:
    return session().create_client(service, config=config)


@cache
def predictions_table() -> PredictionsTable:
    return PredictionsTable(client("dynamodb"), os.environ["PREDICTIONS_TABLE"])


@cache
def decoder() -> Decoder:
    """Where files from outside are decoded; its process is started by the first of them."""
    return Decoder()


@cache
def images_queue() -> ImagesQueue:
    return ImagesQueue(
        client("sqs", BRIEF), os.environ["IMAGES_QUEUE_URL"], os.environ["DEAD_LETTER_QUEUE_URL"]
    )


@cache
def max_receives() -> int:
    """The queue's own maxReceiveCount: after that many tries SQS takes a message away."""
    return int(os.environ["MAX_RECEIVES"])


@cache
def classify_images() -> ClassifyImages:
    settings = ClassifySettings.from_environment(os.environ)
    s3: S3Client = client("s3")
    return ClassifyImages(
        images=ImagesBucket(s3),
        prepare=decoder().prepare,
        endpoint=GuardedEndpoint(
            ModelEndpoint(client("sagemaker-runtime", PATIENT), settings.endpoint_name),
            time.monotonic,
        ),
        predictions=PredictionsTable(client("dynamodb", BRIEF), settings.predictions_table),
        spec=settings.image_spec,
        max_payload_bytes=settings.max_payload_bytes,
        now=utc_now,
    )


def served_model() -> ServedModel:
    """The model behind the stack's endpoint now."""
    return model_behind(client("sagemaker"), client("s3"), os.environ["ENDPOINT_NAME"])


def seconds_left(context: LambdaContext) -> float:
    """Until Lambda stops this call."""
    return float(context.get_remaining_time_in_millis()) / 1000


def utc_now() -> str:
    return utc_text(datetime.now(UTC))
