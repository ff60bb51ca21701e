"""Uploads a data set to the models bucket, for training jobs; describes its photos by a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archive.card import CARD_NAME, ArchiveError, read_model_card
from archive.reading import WEIGHTS_NAME, extract_archive
from imagedrop.errors import UserError
from imagedrop.uploads import Sent, Upload, objects_below, upload_all, why_no_key
from model.graph.features import OnnxFeatures
from model.package import DEFAULT_ARCHIVE
from training.data.cache import default_cache
from training.data.check import Describer
from training.data.dataset import DataSet
from training.data.folders import LeftOut

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class UploadedDataSet:
    """The numbers of files that were sent and that were there already."""

    sent: int
    kept: int
    uri: str
    manifest_sha256: str
    data: DataSet
    """The result of the upload; files that could not be read are left out."""


@contextmanager
def archive_describer(model: Path | None) -> Iterator[Describer | None]:
    """Describes photos by the features of a model, of the default model by default.

    None where the default model's archive is not beside this code, as in a wheel.

    Args:
        model: a folder that a training wrote, or a model.tar.gz.

    Raises:
        UserError: it is not a model, or has no features that can be taken.
    """
    if model is None and not DEFAULT_ARCHIVE.is_file():
        yield None
        return
    source = model or DEFAULT_ARCHIVE
    with TemporaryDirectory() as temporary:
        yield _describer(source, Path(temporary) / "content")


def _describer(source: Path, unpacked: Path) -> Describer:
    folder = source if source.is_dir() else unpacked
    try:
        if not source.is_dir():
            extract_archive(source, unpacked)
        card = read_model_card(folder / CARD_NAME)
        compute = OnnxFeatures(folder / WEIGHTS_NAME)
    except (ArchiveError, OSError, ValueError) as error:
        raise UserError(
            f"{source} is not a model whose features can be used: {error}",
            "Give the folder runs/NAME-TIME/model that `imagedrop train` wrote, or a model.tar.gz.",
        ) from error
    identity = f"onnx|{card.weights_sha256}|{card.image_spec.hash}"
    return Describer(identity, card.image_spec, compute, default_cache())


def upload_data_set(
    s3: Any, bucket: str, prefix: str, data: DataSet, on_file: Callable[[], None]
) -> UploadedDataSet:
    """Uploads every photo that is not there already, below the prefix, with its path in the folder.

    The manifest is uploaded last: if it exists, so do all the photos. After an interruption, or
    once failed files are corrected, the same call uploads the rest. A file that cannot be read is
    left out.

    Args:
        prefix: of the keys, with its last slash.
        on_file: called after each file.

    Raises:
        UserError: S3 does not accept a path as a key, or a file could not be uploaded (the others
            were); or there are other objects below the prefix, which a job would train on too.
        ClientError: S3 refuses to list, or to accept the manifest.
    """
    keys = {image.path: prefix + data.name_of(image) for image in data.images}
    without_key = [
        LeftOut(path, reason) for path, key in keys.items() if (reason := why_no_key(key))
    ]
    uploads = [Upload(path, key) for path, key in keys.items() if why_no_key(key) is None]
    there = objects_below(s3, bucket, prefix)
    _refuse_other_objects(f"s3://{bucket}/{prefix}", there, uploads, prefix + MANIFEST_NAME)
    done: list[Sent] = []
    for each in upload_all(s3, bucket, uploads, there):
        done.append(each)
        on_file()
    data = data.without_unreadable({each.upload.path for each in done if each.is_unreadable})
    done = [each for each in done if not each.is_unreadable]
    # A file that was uploaded before and can no longer be read.
    _refuse_other_objects(
        f"s3://{bucket}/{prefix}", there, [each.upload for each in done], prefix + MANIFEST_NAME
    )
    _refuse_failures(done)
    _refuse_without_key(without_key)
    manifest_sha256 = data.manifest_of({each.upload.path: each.sha256 for each in done})
    manifest = {"schema": 1, "manifest_sha256": manifest_sha256, "images": len(done)}
    s3.put_object(Bucket=bucket, Key=prefix + MANIFEST_NAME, Body=json.dumps(manifest).encode())
    sent = sum(each.is_new for each in done)
    return UploadedDataSet(sent, len(done) - sent, f"s3://{bucket}/{prefix}", manifest_sha256, data)


def _refuse_other_objects(
    address: str, there: Iterable[str], uploads: Iterable[Upload], manifest: str
) -> None:
    others = sorted(set(there) - {each.key for each in uploads} - {manifest})
    if others:
        raise UserError(
            f"{address} holds {len(others)} objects that the folder does not have, "
            f"{others[0]} among them; a job would train on them too.",
            "Remove them, or give the data set another NAME.",
        )


def _refuse_without_key(left_out: Sequence[LeftOut]) -> None:
    if left_out:
        raise UserError(
            f"{len(left_out):,} files were not uploaded, so the data set is incomplete: "
            f"{left_out[0]}",
            "Then run the same command again: it uploads only what is missing.",
        )


def _refuse_failures(done: Iterable[Sent]) -> None:
    failures = [each for each in done if each.error]
    if failures:
        first = failures[0]
        raise UserError(
            f"{len(failures):,} files could not be uploaded, {first.upload.path} "
            f"among them: {first.error}",
            "Run the same command again: it uploads only what is missing.",
        )
