"""``RecordChunkFunction``: one chunk of a bulk run, from the job's outputs to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.record_chunk import RecordChunk
from handlers import bulk_wiring, wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    """Answers nothing: what a Distributed Map collects must stay small (256 KB in all)."""
    RecordChunk(
        predictions=wiring.predictions_table(),
        work=bulk_wiring.work_bucket(),
        run=bulk_wiring.bulk_run(event),
        now=wiring.utc_now,
    ).go(event["chunk"], event["round"])
    return {}
