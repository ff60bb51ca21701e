"""Before a wave's job: the manifest of its remaining work for Batch Transform, and the request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypedDict

from bulk.chunks import of_each_chunk
from bulk.run import BulkRun
from bulk.work_bucket import WorkBucket

MEBIBYTE = 1024 * 1024
# A request holds a shard and the header of its npy file.
NPY_HEADER_BYTES = 128
# SageMaker: MaxPayloadInMB, and times MaxConcurrentTransforms, at most 100 (CreateTransformJob).
LARGEST_PAYLOAD_MB = 100
# A direct run sends the files as they are, up to the limit of `imaging`.
DIRECT_PAYLOAD_MB = 32


class TransformPlan(TypedDict):
    """The transform job's request, as bulk.asl.json reads it.

    Keys:
        objects: how many requests the job has; none is needed when it is 0.
        job_name: the same for the same execution and manifest.
        manifest_uri, output_uri: in the work bucket.
        content_type: of each request.
        max_payload_mb: the largest request, in MiB, rounded up.
        max_concurrent_transforms: requests at once to each machine, 100 MB of them at most.
        sagemaker_model, instance_type, instance_count: as in ``BulkRun``.
        attempts: how often the workflow has requested the job without success.
        job: the job as SageMaker describes it; None at first.
        problem: the error of the last attempt (``Error``, ``Cause``); empty before the first.
    """

    objects: int
    job_name: str
    manifest_uri: str
    output_uri: str
    content_type: str
    max_payload_mb: int
    max_concurrent_transforms: int
    sagemaker_model: str
    instance_type: str
    instance_count: int
    attempts: int
    job: None
    problem: dict[str, str]


@dataclass(slots=True)
class _Manifest:
    """The manifest's pieces, with the count and the digest of the names so far."""

    prefix: str
    names: Iterator[str]
    count: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def pieces(self) -> Iterator[bytes]:
        yield f"[{json.dumps({'prefix': self.prefix})}".encode()
        for name in self.names:
            entry = json.dumps(name).encode()
            self.digest.update(entry + b"\n")
            self.count += 1
            yield b",\n" + entry
        yield b"]\n"


def plan_transform(
    work: WorkBucket, run: BulkRun, round_: int, wave: int, execution: str
) -> TransformPlan:
    """Writes the wave's manifest and returns the request of its transform job.

    Shards that already have an output (from a job that was stopped) are left out, and deleted ones:
    a second round may have completed the run after a chunk was not recorded. The job's name comes
    from the execution and the manifest, so a retried state requests the same job, which SageMaker
    refuses to start twice. It reads chunk by chunk: memory does not grow with the folder.
    """
    manifest = _Manifest(_prefix(work, run), _names(work, run, round_, wave))
    key = run.files.manifest(round_, wave)
    work.write_stream(key, manifest.pieces(), "application/json")
    payload = _payload_mb(run)
    return {
        "objects": manifest.count,
        "job_name": f"bulk-{execution[:44]}-{round_}-{manifest.digest.hexdigest()[:8]}",
        "manifest_uri": f"s3://{work.name}/{key}",
        "output_uri": f"s3://{work.name}/{run.files.outputs.rstrip('/')}",
        "content_type": "application/x-image"
        if run.direct
        else f"application/x-npy; spec={run.image_spec.hash}",
        "max_payload_mb": payload,
        "max_concurrent_transforms": min(
            run.max_concurrent_transforms, LARGEST_PAYLOAD_MB // payload
        ),
        "sagemaker_model": run.sagemaker_model,
        "instance_type": run.instance_type,
        "instance_count": run.instance_count,
        "attempts": 0,
        "job": None,
        "problem": {},
    }


def _prefix(work: WorkBucket, run: BulkRun) -> str:
    if run.direct:
        return f"s3://{run.source['bucket']}/"
    return f"s3://{work.name}/{run.files.shards}"


def _names(work: WorkBucket, run: BulkRun, round_: int, wave: int) -> Iterator[str]:
    """Yields the names in the manifest: shards or, in a direct run, the images' keys."""
    for names in of_each_chunk(work, run.files.wave(round_, wave), partial(_of_chunk, work, run)):
        yield from names


def _of_chunk(work: WorkBucket, run: BulkRun, chunk: str) -> list[str]:
    prepared = work.read_json(run.files.prepared(chunk))
    if prepared is None:
        return []  # its function failed; its images are retried or reported as failed
    if work.exists(run.files.recorded(chunk)):
        return []  # done, even if the shards of a complete run are deleted
    if run.direct:
        return [line["key"] for line in work.read_lines(run.files.direct(chunk))]
    done = set(work.keys(f"{run.files.outputs}{chunk}-"))
    there = set(work.keys(f"{run.files.shards}{chunk}-"))
    names = [
        shard["name"] for shard in prepared["shards"] if run.files.shard(shard["name"]) in there
    ]
    return [f"{name}.npy" for name in names if run.files.output(f"{name}.npy") not in done]


def _payload_mb(run: BulkRun) -> int:
    if run.direct:
        return DIRECT_PAYLOAD_MB
    return payload_mb(run.shard_images, run.image_spec.image_bytes)


def payload_mb(shard_images: int, image_bytes: int) -> int:
    """Returns MaxPayloadInMB for shards of so many images."""
    return -(-(shard_images * image_bytes + NPY_HEADER_BYTES) // MEBIBYTE)
