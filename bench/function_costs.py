"""Measures the CPU of ``ClassifyFunction`` call by call, to show which part batching can save.

    .venv/bin/python -m bench.function_costs [--photos FOLDER] [--count 200]

The function's own adapters, one after the other on one thread, against the deployed stack. Every
way of classifying an image reads, prepares, encodes, writes, and runs the model; only the endpoint
call is shared by a batch, by as many images as the function's limits allow in each encoding.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.drop import PATIENCE_SECONDS, PHOTOS, Function, a_cloud, photos
from handlers import wiring
from imagedrop.predictions import wait_for_rows
from imagedrop.target import local_target
from imagedrop.uploads import Upload, upload_all
from imaging import Prepared, prepare
from imaging.pixel_encoding import PIXEL_ENCODINGS, PixelEncoding
from localcloud import cloud, environments
from model.build_default import IMAGE_SPEC
from pipeline import clients
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.events import Change, ImageRef
from pipeline.settings import Settings

T = TypeVar("T")
BATCH = 40  # as in the template


def cpu_ms(work: Callable[[T], object], items: Sequence[T]) -> float:
    """Median of three passes, per item."""
    passes = []
    for _ in range(3):
        before = time.process_time()
        for item in items:
            work(item)
        passes.append(1000 * (time.process_time() - before) / len(items))
    return statistics.median(passes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    with a_cloud() as running:
        measure(running, photos(options.photos, options.count))


def measure(running: cloud.Cloud, paths: list[Path]) -> None:
    target = local_target(running)
    os.environ.update(environments.settings(running.endpoint_url))
    os.environ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = running.sagemaker_url
    os.environ["PREDICTIONS_TABLE"] = target.outputs["PredictionsTableName"]
    uploads = [Upload(path, f"incoming/{index}{path.suffix}") for index, path in enumerate(paths)]
    sent = list(upload_all(target.client("s3"), target.images_bucket, uploads))
    rows = wait_for_rows(
        target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _count: None
    )
    records = list(rows.values())
    refs = [
        ImageRef(
            target.images_bucket,
            each.key,
            each.version,
            True,
            "F" * 40,  # above every real sequencer, so that the write is done
            each.bytes,
            each.received_at,
            Change.CREATED,
        )
        for each in records
    ]
    images = ImagesBucket(clients.client("s3"))
    endpoint = ModelEndpoint(
        clients.client("sagemaker-runtime", clients.PATIENT), target.outputs["EndpointName"]
    )
    bodies = [body for ref in refs if isinstance(body := images.read(ref), bytes)]
    prepared = [each for body in bodies if isinstance(each := prepare(body, IMAGE_SPEC), Prepared)]
    payload_bytes = Settings(Function(target).variables()).max_payload_bytes
    numbers = iter(range(10**9))

    def write(index: int) -> None:
        sequencer = f"{'F' * 30}{next(numbers):010}"
        wiring.predictions_table().write(records[index], replace(refs[index], sequencer=sequencer))

    print("CPU ms an image, on one thread")
    print(f"  read from S3           {cpu_ms(images.read, refs):6.2f}")
    print(f"  prepare                {cpu_ms(lambda b: prepare(b, IMAGE_SPEC), bodies):6.2f}")
    print_calls(endpoint, prepared, payload_bytes)
    print(f"  write the row          {cpu_ms(write, range(len(records))):6.2f}")


def print_calls(endpoint: ModelEndpoint, prepared: list[Prepared], payload_bytes: int) -> None:
    for name, encoding in PIXEL_ENCODINGS.items():
        encode = partial(encoded, encoding)
        print(f"  encode as {name:<12} {cpu_ms(encode, prepared):6.2f}")
        parts = [encode(each) for each in prepared]
        for most in (1, BATCH):
            body, count = first_body(parts, encoding, most, payload_bytes)
            ask = partial(endpoint.classify, spec=IMAGE_SPEC, image_count=count, encoding=encoding)
            print(f"  endpoint call, of {count:<3}  {cpu_ms(ask, [body] * 10) / count:6.2f}")


def encoded(encoding: PixelEncoding, image: Prepared) -> bytes:
    return encoding.encode(image.pixels, IMAGE_SPEC)


def first_body(
    parts: list[bytes], encoding: PixelEncoding, most: int, payload_bytes: int
) -> tuple[bytes, int]:
    """Returns a body of at most so many images and bytes, and how many images it has."""
    count = most
    while len(body := encoding.pack(parts[:count], IMAGE_SPEC)) > payload_bytes:
        count -= 1
    return body, count


if __name__ == "__main__":
    main()
