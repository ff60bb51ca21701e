"""``ReconcileFunction``: the end of a bulk run's round: once more, or the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.reconcile import Reconcile
from handlers import bulk_wiring, wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    run = bulk_wiring.bulk_run(event)
    work = bulk_wiring.work_bucket()
    result = Reconcile(work, run, wiring.utc_now).go(event["round"], event["job"])
    logger.info("reconciled", extra={"run": run.run, **result})
    return bulk_wiring.state(run.run, **result)
