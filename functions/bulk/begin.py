"""The start of a bulk run: its settings and the model that all its steps use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bulk.run import WAVE_IMAGES, BulkRun, RunFiles
from bulk.work_bucket import WorkBucket
from imaging import ImageSpec
from registry.served_model import ServedModel


def begin_run(
    asked: Mapping[str, Any],
    work: WorkBucket,
    served_model: Callable[[], ServedModel],
    now: Callable[[], str],
) -> BulkRun:
    """Writes ``run.json`` with its model; reads it if it exists already.

    Args:
        asked: the execution's input: the run's name, its source, its settings, and the
            ``candidate`` of a comparison (``model``, ``sagemaker_model``, ``image_spec`` and
            ``abstentions``). Without one, the model is the one that is served now.

    Raises:
        TransientError: a service is busy or did not answer.
    """
    files = RunFiles(asked["run"])
    written = work.read_json(files.run_json)
    if written is not None:
        return BulkRun.from_json(written)
    run = BulkRun(
        name=asked["run"],
        source=asked["source"],
        again=asked["again"],
        direct=asked["direct"],
        instance_type=asked["instance_type"],
        instance_count=asked["instance_count"],
        max_concurrent_transforms=asked["max_concurrent_transforms"],
        chunk_images=asked["chunk_images"],
        shard_images=asked["shard_images"],
        wave_images=asked.get("wave_images", WAVE_IMAGES),
        started_at=now(),
        **_model(asked.get("candidate"), served_model),
    )
    work.write_json(files.run_json, run.to_json())
    return run


def _model(
    candidate: Mapping[str, Any] | None, served_model: Callable[[], ServedModel]
) -> dict[str, Any]:
    """Returns the run's fields about its model: the candidate to compare, or the model in use.

    The command line has looked the candidate up and made its model in SageMaker.
    """
    if candidate is not None:
        spec = ImageSpec.from_json(candidate["image_spec"])
        return {**candidate, "image_spec": spec, "compares": True}
    served = served_model()
    return {
        "model": served.card.identity,
        "sagemaker_model": served.serving.model_name,
        "image_spec": served.card.image_spec,
    }


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
