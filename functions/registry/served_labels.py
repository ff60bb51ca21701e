"""The card of the model behind an endpoint and its labels, cached for a while."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from archive.card import ModelCard
from archive.names import display_name
from registry.served_model import served_model

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

# A model is promoted about once a week; finding the served one takes four calls.
LABELS_SECONDS = 60


def served_labels(sagemaker: SageMakerClient, s3: S3Client, endpoint_name: str) -> dict[str, Any]:
    """Returns the model, every label that it can answer, and the names to show of those with any.

    Raises as `served_card`.
    """
    card = served_card(sagemaker, s3, endpoint_name)
    names = {label: display_name(label, card.names) for label in card.names}
    return {"model": card.identity, "labels": card.answers, "names": names}


def served_card(sagemaker: SageMakerClient, s3: S3Client, endpoint_name: str) -> ModelCard:
    """Returns the card of the model that answers, looked up once per period.

    Raises:
        TransientError: a service is busy or did not answer.
        ClientError: anything else, most often a missing endpoint.
        ArchiveError: the card is malformed.
    """
    return _look_up(sagemaker, s3, endpoint_name, int(time.monotonic() // LABELS_SECONDS))


@lru_cache(maxsize=1)
def _look_up(
    sagemaker: SageMakerClient, s3: S3Client, endpoint_name: str, _period: int
) -> ModelCard:
    return served_model(sagemaker, s3, endpoint_name).card
