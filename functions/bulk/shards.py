"""Prepared images packed into files that Batch Transform sends as one request each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bulk.run import Listed, RunFiles
from bulk.work_bucket import WorkBucket
from imaging import ImageSpec, Prepared, encode_npy
from pipeline.events import ImageRef


@dataclass(frozen=True, slots=True)
class ShardRow:
    """The image in a row of a shard, and the known facts of its file."""

    image: Listed
    format: str | None = None
    width: int | None = None
    height: int | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ShardRow:
        return cls(**{**value, "image": Listed(**value["image"])})

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"image": self.image.to_json()}


@dataclass(frozen=True, slots=True)
class ShardWriter:
    """Writes the shards of one chunk."""

    work: WorkBucket
    files: RunFiles
    spec: ImageSpec
    chunk: str

    def write(self, number: int, images: Sequence[tuple[ImageRef, Prepared]]) -> str:
        """Writes a shard; returns its name, which ends with a hash of its images.

        So a chunk that is prepared again overwrites its shards, and a shard's output is never
        mistaken for that of other images.

        Raises:
            TransientError: S3 is busy or did not answer.
        """
        name = f"{self.chunk}-{number:04}-{self._hash(images)}"
        rows = [
            ShardRow(Listed.from_ref(ref), each.format, each.width, each.height)
            for ref, each in images
        ]
        self.work.write_lines(self.files.shard_rows(name), [row.to_json() for row in rows])
        body = encode_npy([each.pixels for _, each in images], self.spec)
        self.work.write(self.files.shard(name), body, f"application/x-npy; spec={self.spec.hash}")
        return name

    def _hash(self, images: Sequence[tuple[ImageRef, Prepared]]) -> str:
        names = hashlib.sha256(self.spec.hash.encode())
        for ref, _ in images:
            names.update(f"\0{ref.image}\0{ref.version}".encode())
        return names.hexdigest()[:8]
