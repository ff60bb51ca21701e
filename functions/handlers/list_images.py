"""``ListImagesFunction``: the first step of a bulk run, and again until all is listed."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from bulk.list_images import ListImages, Progress
from bulk.run import BulkRun, RunFiles
from bulk.sources import image_source
from handlers import bulk_wiring, wiring
from registry.served_model import served_model

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# A page of 1,000 objects and its files take some hundred milliseconds.
LAST_START_SECONDS = 30


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``input`` (the execution's) and ``progress`` → the state that the next step reads."""
    work = bulk_wiring.work_bucket()
    files = RunFiles(event["input"]["run"])
    progress = Progress(**event["progress"]) if event["progress"] else _known_progress(files)
    if not progress.done:
        run = _begin(event["input"], files)
        source = image_source(wiring.client("s3"), run.source)
        progress = ListImages(source, work, run).go_on(
            progress,
            out_of_time=lambda: context.get_remaining_time_in_millis() < LAST_START_SECONDS * 1000,
        )
    logger.info("listed", extra={"run": files.run, **asdict(progress)})
    return bulk_wiring.state(files.run, round=0, progress=asdict(progress))


def _known_progress(files: RunFiles) -> Progress:
    """Done, where an earlier execution of this run has listed everything."""
    work = bulk_wiring.work_bucket()
    chunks, totals = work.read_json(files.chunks(0)), work.read_json(files.listing_json)
    if chunks is None or totals is None:
        return Progress()
    return Progress(
        chunks=len(chunks), listed=totals["listed"], ignored=totals["ignored"], done=True
    )


def _begin(asked: dict[str, Any], files: RunFiles) -> BulkRun:
    """Writes down what the run is, with the model that is served now; once, for all its steps."""
    work = bulk_wiring.work_bucket()
    written = work.read_json(files.run_json)
    if written is not None:
        return BulkRun.from_json(written)
    model = served_model(
        wiring.client("sagemaker"), wiring.client("s3"), os.environ["ENDPOINT_NAME"]
    )
    run = BulkRun(
        run=asked["run"],
        source=asked["source"],
        again=asked["again"],
        direct=asked["direct"],
        model=model.identity,
        sagemaker_model=model.sagemaker_model,
        image_spec=model.image_spec,
        instance_type=asked["instance_type"],
        instance_count=asked["instance_count"],
        max_concurrent_transforms=asked["max_concurrent_transforms"],
        chunk_images=asked["chunk_images"],
        shard_images=asked["shard_images"],
        started_at=wiring.utc_now(),
    )
    work.write_json(files.run_json, run.to_json())
    return run
