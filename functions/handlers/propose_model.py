"""``ProposeModelFunction``: the end of a training job in, a model package to approve out."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from pipeline.clients import PATIENT, client
from pipeline.settings import Settings
from registry.model_registry import ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.propose_model import Notifier, ProposeModel

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001 - Lambda passes it
    """Handles EventBridge's "SageMaker Training Job State Change"; Lambda retries failures."""
    job = event["detail"]["TrainingJobName"]
    proposal = propose_model().run(job)
    if proposal.package is None:
        logger.warning("not proposed", extra={"job": job, "reason": proposal.reason})
    else:
        logger.info("proposed", extra={"job": job, "model": proposal.package.identity})


@cache
def propose_model() -> ProposeModel:
    """Makes the use case from the function's environment, once an execution environment."""
    settings, sagemaker = Settings(), client("sagemaker", PATIENT)
    return ProposeModel(
        sagemaker=sagemaker,
        models=ModelsBucket(client("s3", PATIENT), settings.models_bucket),
        registry=ModelRegistry(sagemaker),
        notifier=Notifier(client("sns", PATIENT), settings.alarm_topic_arn),
        serving_image=settings.serving_image,
    )
