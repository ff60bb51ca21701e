"""The models for people to look at: the default one and every registered version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.card import ModelCard
from pipeline.events import utc_text
from registry.model_registry import ModelPackage, ModelRegistry
from registry.models_bucket import read_card
from registry.served_model import describe_serving

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

METRICS = "metrics."


def listed_models(
    sagemaker: SageMakerClient, s3: S3Client, endpoint_name: str, default_url: str
) -> list[dict[str, Any]]:
    """Returns a row for each model, with its own evaluation's figures; ``answers`` marks one.

    Raises:
        TransientError: a service is busy or did not answer.
        ClientError: anything else, most often a missing endpoint.
        ArchiveError: the default model's card is malformed.
    """
    answering = describe_serving(sagemaker, endpoint_name).model_data_url
    rows = [_default(read_card(s3, default_url), default_url)]
    rows += [_registered(each) for each in ModelRegistry(sagemaker).packages()]
    return [row | {"answers": row["model_data_url"] == answering} for row in rows]


def _default(card: ModelCard, url: str) -> dict[str, Any]:
    return {
        "model": card.identity,
        "approval": "default",
        "labels": len(card.labels),
        "created_at": None,
        "model_data_url": url,
        "metrics": _numbers(card.metrics),
    }


def _registered(package: ModelPackage) -> dict[str, Any]:
    figures = {
        name.removeprefix(METRICS): value
        for name, value in package.lineage.items()
        if name.startswith(METRICS)
    }
    return {
        "model": package.identity,
        "approval": package.approval.value,
        "labels": int(package.lineage["labels"]),
        "created_at": utc_text(package.created_at),
        "model_data_url": package.model_data_url,
        "metrics": _numbers(figures),
    }


def _numbers(figures: Any) -> dict[str, float]:
    """Returns the figures that are numbers; a registry keeps them as text."""
    found: dict[str, float] = {}
    for name, value in figures.items():
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            continue
    return found
