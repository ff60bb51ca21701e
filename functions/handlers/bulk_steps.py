"""``BulkStepsFunction``: the steps of a bulk run that work on the whole folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.begin import begin_run
from bulk.list_images import ListImages, known_progress
from bulk.plan_transform import PlanTransform
from bulk.reconcile import Reconcile
from bulk.run import RunFiles
from bulk.sources import image_source
from handlers import bulk_wiring, wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# A page of 1,000 objects and its files take a few hundred milliseconds.
LAST_START_SECONDS = 30


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs the step that the state machine names; returns what its next states read."""
    answer = STEPS[event["step"]](event, context)
    logger.info(event["step"], extra=answer)
    return answer


def list_images(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lists until all is listed or the time is nearly over; then the workflow calls it again."""
    work = bulk_wiring.work_bucket()
    files = RunFiles(event["input"]["run"])
    progress = known_progress(event["progress"], work, files)
    if not progress.done:
        run = begin_run(event["input"], work, wiring.served_model, wiring.utc_now)
        source = image_source(wiring.client("s3"), run.source)
        progress = ListImages(source, work, run).go_on(
            progress, out_of_time=lambda: wiring.seconds_left(context) < LAST_START_SECONDS
        )
    return bulk_wiring.state(files.run, round=0, progress=asdict(progress))


def plan_transform(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    run = bulk_wiring.bulk_run(event)
    plan = PlanTransform(bulk_wiring.work_bucket(), run).go(event["round"], event["execution"])
    return bulk_wiring.state(run.run, round=event["round"], **plan)


def reconcile(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    run = bulk_wiring.bulk_run(event)
    step = Reconcile(bulk_wiring.work_bucket(), run, wiring.utc_now)
    return bulk_wiring.state(run.run, **step.go(event["round"], event["job"]))


STEPS = {"list": list_images, "plan": plan_transform, "reconcile": reconcile}
