"""``PlanTransformFunction``: the manifest and the request of a bulk run's transform job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.plan_transform import PlanTransform
from handlers import bulk_wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    run = bulk_wiring.bulk_run(event)
    plan = PlanTransform(bulk_wiring.work_bucket(), run).go(event["round"], event["execution"])
    logger.info("planned", extra={"run": run.run, "objects": plan["objects"]})
    return bulk_wiring.state(run.run, round=event["round"], **plan)
