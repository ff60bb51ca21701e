"""``PrepareChunkFunction``: one chunk of a bulk run, from listed names to packed shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.prepare_chunk import PrepareChunk
from handlers import bulk_wiring, wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# The longest image (S3's time-outs, a decode at the limits) and the chunk's last files after it.
LAST_START_SECONDS = 60


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers nothing: what a Distributed Map collects must stay small (256 KB in all)."""
    PrepareChunk(
        images=bulk_wiring.images_bucket(),
        prepare=wiring.decoder().prepare,
        predictions=wiring.predictions_table(),
        work=bulk_wiring.work_bucket(),
        run=bulk_wiring.bulk_run(event),
        now=wiring.utc_now,
    ).go(
        event["chunk"],
        event["round"],
        out_of_time=lambda: context.get_remaining_time_in_millis() < LAST_START_SECONDS * 1000,
    )
    return {}
