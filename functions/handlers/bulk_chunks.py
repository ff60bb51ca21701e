"""``BulkChunksFunction``: the steps of a bulk run that work on one chunk of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.begin import read_run
from bulk.comparison import rows_for
from bulk.prepare_chunk import LAST_START_SECONDS, PrepareChunk
from bulk.record_chunk import RecordChunk
from bulk.run import BulkRun, is_last_round
from bulk.work_bucket import WorkBucket
from handlers import wiring
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.clients import client
from pipeline.events import utc_now
from pipeline.time_budget import deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs the step that the state machine names, for the chunk that it names.

    Returns an empty object: all that a Distributed Map collects must stay below 256 KB.
    """
    work = WorkBucket(client("s3"), wiring.settings.work_bucket)
    run = read_run(event["input"]["run"], work)
    STEPS[event["step"]](event, work, run, context)
    return {}


def prepare_step(
    event: dict[str, Any], work: WorkBucket, run: BulkRun, context: LambdaContext
) -> None:
    PrepareChunk(
        images=ImagesBucket(client("s3")),
        prepare=wiring.decoder().prepare,
        predictions=rows_for(run, wiring.predictions_table()),
        work=work,
        bulk_run=run,
        now=utc_now,
        out_of_time=deadline(context.get_remaining_time_in_millis, LAST_START_SECONDS),
    ).run(event["chunk"], event["round"])


def record_step(event: dict[str, Any], work: WorkBucket, run: BulkRun, _: LambdaContext) -> None:
    # An execution that began before a deployment may not pass a problem.
    is_last = is_last_round(event["round"], event.get("problem"))
    step = RecordChunk(rows_for(run, wiring.predictions_table()), work, run, utc_now)
    step.run(event["chunk"], event["round"], is_last=is_last)


STEPS = {"prepare": prepare_step, "record": record_step}
