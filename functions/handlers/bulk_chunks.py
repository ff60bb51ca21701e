"""``BulkChunksFunction``: the steps of a bulk run that work on one chunk of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.prepare_chunk import PrepareChunk
from bulk.record_chunk import RecordChunk
from handlers import bulk_wiring, wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# The longest image (S3's timeouts, a decode at the limits) and the chunk's last files after it.
LAST_START_SECONDS = 60


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs the step that the state machine names, for the chunk that it names.

    Returns an empty object: all that a Distributed Map collects must stay below 256 KB.
    """
    STEPS[event["step"]](event, context)
    return {}


def prepare(event: dict[str, Any], context: LambdaContext) -> None:
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
        out_of_time=lambda: wiring.seconds_left(context) < LAST_START_SECONDS,
    )


def record(event: dict[str, Any], _context: LambdaContext) -> None:
    RecordChunk(
        predictions=wiring.predictions_table(),
        work=bulk_wiring.work_bucket(),
        run=bulk_wiring.bulk_run(event),
        now=wiring.utc_now,
    ).go(event["chunk"], event["round"])


STEPS = {"prepare": prepare, "record": record}
