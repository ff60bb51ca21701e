"""The start of a bulk run: its settings and the model that all its steps use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bulk.run import BulkRun, RunFiles
from bulk.work_bucket import WorkBucket
from registry.served_model import ServedModel


def begin_run(
    asked: Mapping[str, Any],
    work: WorkBucket,
    served_model: Callable[[], ServedModel],
    now: Callable[[], str],
) -> BulkRun:
    """Writes ``run.json`` with the model that is served now; reads it if it exists already.

    Args:
        asked: the execution's input: the run's name, its source and its settings.

    Raises:
        TransientError: a service is busy or did not answer.
    """
    files = RunFiles(asked["run"])
    written = work.read_json(files.run_json)
    if written is not None:
        return BulkRun.from_json(written)
    model = served_model()
    run = BulkRun(
        name=asked["run"],
        source=asked["source"],
        again=asked["again"],
        direct=asked["direct"],
        model=model.card.identity,
        sagemaker_model=model.serving.model_name,
        image_spec=model.card.image_spec,
        instance_type=asked["instance_type"],
        instance_count=asked["instance_count"],
        max_concurrent_transforms=asked["max_concurrent_transforms"],
        chunk_images=asked["chunk_images"],
        shard_images=asked["shard_images"],
        started_at=now(),
    )
    work.write_json(files.run_json, run.to_json())
    return run


def read_run(name: str, work: WorkBucket) -> BulkRun:
    """Reads a run's ``run.json``.

    Raises:
        LookupError: the listing has not written it yet.
    """
    files = RunFiles(name)
    written = work.read_json(files.run_json)
    if written is None:
        raise LookupError(f"there is no {files.run_json}")
    return BulkRun.from_json(written)
