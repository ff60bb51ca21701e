"""Photos from disk into the bucket, and the wait for their rows."""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from bulk.list_images import SYSTEM_FILES
from imagedrop.errors import UserError
from imagedrop.target import PARALLEL_CALLS, Target
from pipeline.records import Record

INCOMING_PREFIX = "incoming/"
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the key it gets."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload that arrived, as this version; or the reason why it did not."""

    upload: Upload
    version: str | None = None
    error: str | None = None


def plan_uploads(
    paths: Sequence[Path], prefix: str = INCOMING_PREFIX
) -> tuple[list[Upload], list[Path]]:
    """The uploads, and the files left out (hidden and system files inside folders).

    A file goes to ``PREFIX/NAME``; a folder keeps its own name and the paths inside it.

    Raises:
        UserError: a path is missing, nothing is left to send, or two files claim one key.
    """
    uploads: list[Upload] = []
    left_out: list[Path] = []
    for path in paths:
        if path.is_dir():
            found, hidden = _files_of(path)
            root = path.resolve().parent
            uploads += [
                Upload(
                    each,
                    prefix + (path.resolve() / each.relative_to(path)).relative_to(root).as_posix(),
                )
                for each in found
            ]
            left_out += hidden
        elif path.is_file():
            uploads.append(Upload(path, prefix + path.name))
        else:
            raise UserError(f"There is no {path}.", "Name files or folders that exist.")
    if not uploads:
        raise UserError("There are no files to send.", "Name a folder that holds photos.")
    owners: dict[str, Path] = {}
    for upload in uploads:
        other = owners.setdefault(upload.key, upload.path)
        if other != upload.path:
            raise UserError(
                f"{other} and {upload.path} would both become {upload.key}.",
                "Send them in two folders of different names.",
            )
    return list(dict.fromkeys(uploads)), left_out


def _files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    found: list[Path] = []
    left_out: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        (left_out if hidden or path.name in SYSTEM_FILES else found).append(path)
    return found, left_out


def upload_all(target: Target, uploads: Iterable[Upload]) -> Iterator[Sent]:
    """Uploads side by side, each result as it comes; a failure is a result too."""
    s3 = target.client("s3")

    def put(upload: Upload) -> Sent:
        content_type = mimetypes.guess_type(upload.path.name)[0] or "application/octet-stream"
        try:
            with upload.path.open("rb") as file:
                response = s3.put_object(
                    Bucket=target.images_bucket,
                    Key=upload.key,
                    Body=file,
                    ContentType=content_type,
                )
        except (OSError, ClientError, BotoCoreError, Boto3Error) as error:
            return Sent(upload, error=str(error))
        return Sent(upload, version=response.get("VersionId") or response["ETag"].strip('"'))

    pool = ThreadPoolExecutor(PARALLEL_CALLS)
    try:
        for future in as_completed([pool.submit(put, each) for each in uploads]):
            yield future.result()
    finally:
        # After Ctrl-C: finish what is on its way, begin nothing more.
        pool.shutdown(wait=True, cancel_futures=True)


def wait_for_rows(
    target: Target,
    sent: Sequence[Sent],
    *,
    patience_seconds: float,
    on_rows: Callable[[int], None],
) -> dict[str, Record]:
    """The rows of exactly the versions that were sent, by key.

    Gives up after ``patience_seconds`` without a new row; what is missing then is missing from
    the answer.
    """
    table = target.predictions_table()
    address = f"s3://{target.images_bucket}/"
    versions = {address + each.upload.key: each.version for each in sent if each.version}
    rows: dict[str, Record] = {}
    deadline = time.monotonic() + patience_seconds
    while len(rows) < len(versions) and time.monotonic() < deadline:
        missing = [image for image in versions if image not in rows]
        new = {
            image: record
            for image, record in table.get_many(missing).items()
            if record.version == versions[image]
        }
        if new:
            rows |= new
            on_rows(len(new))
            deadline = time.monotonic() + patience_seconds
        else:
            time.sleep(POLL_SECONDS)
    return {record.key: record for record in rows.values()}
