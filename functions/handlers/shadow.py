"""``ShadowFunction``: the table's stream in; a candidate's answers beside the rows out."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from changes.shadow import Shadow, ShowToCandidate
from changes.shadow_setting import read_shadow
from handlers import wiring
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.clients import PATIENT, client
from pipeline.events import utc_now
from pipeline.time_budget import deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# How old the setting may be: a share that was just set begins within this time.
SETTING_SECONDS = 30
# Reading and preparing the photos of a request, a call of 62 s, and writing their answers.
LAST_CALL_SECONDS = 120


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Shows the share of a shard's new rows to the candidate, if there is one."""
    too_late = deadline(context.get_remaining_time_in_millis, LAST_CALL_SECONDS)
    shown = show_to_candidate().run(event["Records"], too_late)
    logger.info("shadow", extra=asdict(shown))
    return shown.to_response()


@cache
def show_to_candidate() -> ShowToCandidate:
    settings = wiring.settings
    return ShowToCandidate(
        shadow=lambda: _shadow(int(time.monotonic() // SETTING_SECONDS)),
        images=ImagesBucket(client("s3")),
        prepare=wiring.decoder().prepare,
        endpoint=ModelEndpoint(client("sagemaker-runtime", PATIENT), settings.shadow_endpoint_name),
        rows=wiring.predictions_table(),
        images_bucket=settings.images_bucket,
        now=utc_now,
    )


@lru_cache(maxsize=1)
def _shadow(_period: int) -> Shadow | None:
    return read_shadow(client("s3"), wiring.settings.models_bucket)
