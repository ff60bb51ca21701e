"""``ProposeModelFunction``: a training job's end in, a model package for a person to judge out."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from handlers import wiring
from registry.alarm_topic import AlarmTopic
from registry.model_registry import ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.propose_model import ProposeModel
from registry.training_jobs import TrainingJobs

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001 - Lambda passes it
    """An EventBridge event "SageMaker Training Job State Change"; what fails is tried again."""
    job = event["detail"]["TrainingJobName"]
    proposal = propose_model().run(job)
    if proposal.package is None:
        logger.warning("not proposed", extra={"job": job, "reason": proposal.reason})
    else:
        logger.info("proposed", extra={"job": job, "model": proposal.package.identity})


@cache
def propose_model() -> ProposeModel:
    sagemaker = wiring.client("sagemaker", wiring.PATIENT)
    return ProposeModel(
        jobs=TrainingJobs(sagemaker),
        models=ModelsBucket(wiring.client("s3", wiring.PATIENT), os.environ["MODELS_BUCKET"]),
        registry=ModelRegistry(sagemaker),
        people=AlarmTopic(wiring.client("sns", wiring.PATIENT), os.environ["ALARM_TOPIC_ARN"]),
        serving_image=os.environ["SERVING_IMAGE"],
    )
