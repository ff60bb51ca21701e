"""``BulkStepsFunction``: the steps of a bulk run that work on the whole folder."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.begin import begin_run, read_run
from bulk.delete_shards import delete_shards
from bulk.list_images import known_progress, list_images
from bulk.plan_transform import plan_transform
from bulk.reconcile import reconcile
from bulk.run import RunFiles
from bulk.sources import image_source
from bulk.work_bucket import WorkBucket
from handlers import wiring
from pipeline.clients import client
from pipeline.events import utc_now
from registry.served_model import served_model

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# A page of 1,000 objects and its files take a few hundred milliseconds.
LAST_START_SECONDS = 30


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs the step that the state machine names; returns what its next states read."""
    work = WorkBucket(client("s3"), wiring.settings.work_bucket)
    known = {
        "run": event["input"]["run"],
        "work_bucket": work.name,
        "concurrency": wiring.settings.bulk_concurrency,
    }
    answer = known | STEPS[event["step"]](event, work, context)
    logger.info(event["step"], extra=answer)
    return answer


def list_step(event: dict[str, Any], work: WorkBucket, context: LambdaContext) -> dict[str, Any]:
    """Lists until all is listed or the time is nearly over; then the workflow calls it again."""
    progress = known_progress(event["progress"], work, RunFiles(event["input"]["run"]))
    if not progress.done:
        s3, endpoint_name = client("s3"), wiring.settings.endpoint_name
        served = partial(served_model, client("sagemaker"), s3, endpoint_name)
        run = begin_run(event["input"], work, served, utc_now)
        source = image_source(s3, run.source)
        out_of_time = wiring.deadline(context, LAST_START_SECONDS)
        list_images(source, work, run, progress, out_of_time)
    return {"round": 0, "progress": asdict(progress)}


def plan_step(event: dict[str, Any], work: WorkBucket, _: LambdaContext) -> dict[str, Any]:
    run = read_run(event["input"]["run"], work)
    plan = plan_transform(work, run, event["round"], event["execution"])
    return {"round": event["round"], **plan}


def reconcile_step(event: dict[str, Any], work: WorkBucket, _: LambdaContext) -> dict[str, Any]:
    run = read_run(event["input"]["run"], work)
    return reconcile(work, run, utc_now, event["round"], event["job"])


def delete_step(event: dict[str, Any], work: WorkBucket, context: LambdaContext) -> dict[str, Any]:
    """Deletes until all is deleted or the time is nearly over; then the workflow calls it again."""
    out_of_time = wiring.deadline(context, LAST_START_SECONDS)
    return {"done": delete_shards(work, RunFiles(event["input"]["run"]), out_of_time)}


STEPS = {
    "list": list_step,
    "plan": plan_step,
    "reconcile": reconcile_step,
    "delete": delete_step,
}
