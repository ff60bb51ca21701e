"""The third step: the manifest of what Batch Transform has still to do, and the job's request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from bulk.chunks import of_each_chunk
from bulk.run import BulkRun, RunFiles
from bulk.work_bucket import WorkBucket

MEBIBYTE = 1024 * 1024
# A request holds a shard and the header of its npy file.
NPY_HEADER_BYTES = 128
# SageMaker: MaxPayloadInMB, and times MaxConcurrentTransforms, at most 100 (CreateTransformJob).
LARGEST_PAYLOAD_MB = 100
# A direct run's requests are files as they lie there; the limit of imaging's own bytes.
DIRECT_PAYLOAD_MB = 32


@dataclass(frozen=True, slots=True)
class PlanTransform:
    """Reads what was prepared, chunk by chunk; memory does not grow with the folder."""

    work: WorkBucket
    run: BulkRun

    def go(self, round_: int, execution: str) -> dict[str, Any]:
        """Writes ``manifest-ROUND.json`` and returns what the workflow's next states need.

        Shards whose output is there already (from a job that was stopped) are left out. The
        job's name comes from the execution and the manifest: a state that is tried again asks for
        the same job, and SageMaker refuses to begin it twice.
        """
        files = RunFiles(self.run.run)
        digest = hashlib.sha256()
        count = 0

        def manifest() -> Iterator[bytes]:
            nonlocal count
            head = json.dumps({"prefix": self._prefix(files)})
            yield f"[{head}".encode()
            for name in self._names(files, round_):
                entry = json.dumps(name).encode()
                digest.update(entry + b"\n")
                count += 1
                yield b",\n" + entry
            yield b"]\n"

        key = files.manifest(round_)
        self.work.write_stream(key, manifest(), "application/json")
        return {
            "objects": count,
            "job_name": f"bulk-{execution[:44]}-{round_}-{digest.hexdigest()[:8]}",
            "manifest_uri": f"s3://{self.work.name}/{key}",
            "output_uri": f"s3://{self.work.name}/{files.outputs.rstrip('/')}",
            "content_type": "application/x-image"
            if self.run.direct
            else f"application/x-npy; spec={self.run.image_spec.hash}",
            "max_payload_mb": self._payload_mb(),
            "max_concurrent_transforms": min(
                self.run.max_concurrent_transforms, LARGEST_PAYLOAD_MB // self._payload_mb()
            ),
            "sagemaker_model": self.run.sagemaker_model,
            "instance_type": self.run.instance_type,
            "instance_count": self.run.instance_count,
            "attempts": 0,
            "job": None,
        }

    def _prefix(self, files: RunFiles) -> str:
        if not self.run.direct:
            return f"s3://{self.work.name}/{files.shards}"
        return f"s3://{self.run.source['bucket']}/"

    def _names(self, files: RunFiles, round_: int) -> Iterator[str]:
        """What the manifest lists: shards or, in a direct run, the images' keys."""
        for names in of_each_chunk(self.work, files, round_, partial(self._of_chunk, files)):
            yield from names

    def _of_chunk(self, files: RunFiles, chunk: str) -> list[str]:
        prepared = self.work.read_json(files.prepared(chunk))
        if prepared is None:
            return []  # its function failed; its images come again, or are reported as failed
        if self.run.direct:
            return [line["key"] for line in self.work.read_lines(files.direct(chunk))]
        done = set(self.work.keys(f"{files.outputs}{chunk}-"))
        names = [f"{shard['name']}.npy" for shard in prepared["shards"]]
        return [name for name in names if files.output(name) not in done]

    def _payload_mb(self) -> int:
        if self.run.direct:
            return DIRECT_PAYLOAD_MB
        return payload_mb(self.run.shard_images, self.run.image_spec.image_bytes)


def payload_mb(shard_images: int, image_bytes: int) -> int:
    """MaxPayloadInMB for shards of so many images."""
    return -(-(shard_images * image_bytes + NPY_HEADER_BYTES) // MEBIBYTE)
