"""The folder of a bulk run: one in S3, or one on disk that is uploaded first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from bulk.list_images import SourcePage, why_ignored
from bulk.sources import SourceError, image_source, split_uri
from imagedrop.errors import UserError
from imagedrop.uploads import Upload, plan_uploads
from training.data.folders import LeftOut

# Not under incoming/, so that an upload triggers nothing.
FOLDERS_PREFIX = "folders/"

# A source in the form of the workflow's input; see bulk.sources.
Source = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class S3Folder:
    """``s3://bucket/prefix/``; an empty prefix is the whole bucket."""

    bucket: str
    prefix: str

    @property
    def name(self) -> str:
        return self.prefix.rstrip("/").rpartition("/")[2] or self.bucket

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder's files and their destination, and what is left out."""

    uploads: Sequence[Upload]
    left_out: Sequence[LeftOut]
    destination: S3Folder


def parse_folder(folder: str, images_bucket: str) -> S3Folder | LocalFolder:
    """Parses the FOLDER argument of `bulk start`.

    Raises:
        UserError: there is no such folder, it is empty, or the address names no bucket.
    """
    if folder.startswith("s3://"):
        bucket, _, prefix = folder.removeprefix("s3://").partition("/")
        if not bucket:
            raise UserError(f"{folder} names no bucket.", "Write s3://BUCKET/FOLDER/.")
        # photos and photos-old are two folders: a prefix without its slash would take both.
        return S3Folder(bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")
    path = Path(folder)
    if not path.is_dir():
        raise UserError(
            f"There is no folder {folder}.",
            "Give a folder on disk, or one in S3: s3://BUCKET/FOLDER/.",
        )
    uploads, left_out = plan_uploads([path], FOLDERS_PREFIX)
    destination = S3Folder(images_bucket, f"{FOLDERS_PREFIX}{path.resolve().name}/")
    return LocalFolder(uploads, left_out, destination)


def source_of(folder: S3Folder, inventory: str | None, manifest: str | None) -> Source:
    """Returns the source for the workflow.

    Args:
        inventory: address of an S3 Inventory's manifest.json; only keys in the folder are taken.
        manifest: address of a text file of keys in the folder's bucket.

    Raises:
        UserError: both are given, or one is not an s3:// address.
    """
    if inventory and manifest:
        raise UserError("A run has one source.", "Give --inventory or --manifest, not both.")
    for uri in filter(None, (inventory, manifest)):
        try:
            split_uri(uri)
        except SourceError as error:
            raise UserError(f"{error}.", "Give the address of a file: s3://BUCKET/KEY.") from error
    if inventory:
        return {"kind": "inventory", "manifest": inventory, "prefix": folder.prefix}
    if manifest:
        return {"kind": "list", "uri": manifest, "bucket": folder.bucket}
    return {"kind": "folder", "bucket": folder.bucket, "prefix": folder.prefix}


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a source; 0 bytes for an inventory or a list of keys, which has no sizes."""

    images: int
    bytes: int
    ignored: int


def list_source(s3: Any, source: Source) -> Listing:
    """Lists a source as the run would, and writes nothing.

    Raises:
        UserError: it is empty, or cannot be listed.
    """
    check_source(s3, source)
    images = total_bytes = ignored = 0
    for page in _pages(s3, source):
        for each in page.listed:
            if why_ignored(each.key, source.get("prefix")):
                ignored += 1
            else:
                images += 1
                total_bytes += each.size_bytes
    return Listing(images, total_bytes, ignored)


def check_source(s3: Any, source: Source) -> None:
    """Lists only the first page, so that a mistyped address does not become a run.

    Raises:
        UserError: it is empty, or cannot be listed.
    """
    for page in _pages(s3, source):
        if page.listed or page.after is not None:
            return
    raise UserError("The source is empty.", "Check the address; keys are case sensitive.")


def _pages(s3: Any, source: Source) -> Iterator[SourcePage]:
    try:
        yield from image_source(s3, source).pages(None)
    except (ClientError, SourceError) as error:
        raise UserError(
            f"The source cannot be listed: {error}",
            "Check the address, and that your credentials may list it.",
        ) from error


def list_local(folder: LocalFolder) -> Listing:
    """Counts a folder's files and their bytes on disk."""
    size_bytes = sum(each.path.stat().st_size for each in folder.uploads)
    return Listing(len(folder.uploads), size_bytes, len(folder.left_out))
