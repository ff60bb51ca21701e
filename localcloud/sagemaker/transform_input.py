"""Input and output of a transform job: keys, manifests, output names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.storage import Storage, split_s3_uri

MAX_MANIFEST_BYTES = 256 * 1024 * 1024


class InputError(Exception):
    """The input is unusable; the message goes into the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class InputObject:
    """One object to transform. ``relative`` is its key without the prefix of the input."""

    bucket: str
    key: str
    relative: str


def input_pages(storage: Storage, source: dict[str, Any]) -> Iterator[list[InputObject]]:
    """Blocking: the input's objects, some at a time, in the order of the listing or manifest."""
    bucket, key = split_s3_uri(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        yield parse_manifest(storage.read(bucket, key, MAX_MANIFEST_BYTES))
        return
    # "dir/pho" takes dir/photo.jpg and dir/phone/1.jpg: names are relative to "dir/".
    folder = key[: key.rfind("/") + 1]
    for keys in storage.list_pages(bucket, key):
        # A key that ends in "/" is the console's marker of a folder, not a file.
        yield [
            InputObject(bucket, found, found.removeprefix(folder))
            for found in keys
            if not found.endswith("/")
        ]


def parse_manifest(content: bytes) -> list[InputObject]:
    """``[{"prefix": "s3://bucket/folder/"}, "relative/key", …]`` to objects."""
    try:
        entries = json.loads(content)
    except ValueError as error:
        raise InputError(f"ClientError: the manifest is not JSON: {error}") from error
    match entries:
        case [{"prefix": str(prefix)}, *names] if all(isinstance(n, str) for n in names):
            bucket, folder = split_s3_uri(prefix)
            return [InputObject(bucket, folder + name, name) for name in names]
    raise InputError(
        'ClientError: the manifest is not of the form [{"prefix": "s3://…/"}, "key", …]'
    )


def output_location(output_path: str, item: InputObject) -> tuple[str, str]:
    """Bucket and key of the object's result: ``<S3OutputPath>/<relative key>.out``."""
    bucket, folder = split_s3_uri(output_path)
    folder = folder.rstrip("/")
    name = f"{item.relative}.out"
    return bucket, f"{folder}/{name}" if folder else name
