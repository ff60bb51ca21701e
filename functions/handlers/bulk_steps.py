"""``BulkStepsFunction``: the steps of a bulk run that work on the whole folder."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.folder_steps import LAST_START_SECONDS, STEPS, FolderSteps
from bulk.work_bucket import WorkBucket
from handlers import wiring
from pipeline.clients import client
from pipeline.events import utc_now
from pipeline.time_budget import deadline
from registry.served_model import ServedModel, served_model

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs the step that the state machine names; returns the input of its next states."""
    s3 = client("s3")
    steps = FolderSteps(
        s3=s3,
        work=WorkBucket(s3, wiring.settings.work_bucket),
        served_model=partial(model_served_now, s3),
        now=utc_now,
        concurrency=wiring.settings.bulk_concurrency,
        out_of_time=deadline(context.get_remaining_time_in_millis, LAST_START_SECONDS),
    )
    known = {"run": event["input"]["run"], "work_bucket": steps.work.name}
    answer = known | STEPS[event["step"]](steps, event)
    logger.info(event["step"], extra=answer)
    return answer


def model_served_now(s3: Any) -> ServedModel:
    return served_model(client("sagemaker"), s3, wiring.settings.endpoint_name)
