"""Read the predictions table: all rows, the row of one image, the rows of an upload."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from imagedrop.errors import UserError
from imagedrop.target import INCOMING_PREFIX, Target
from imagedrop.uploads import Sent
from pipeline.queries import Query
from pipeline.records import Record

PAGE_ROWS = 500
POLL_SECONDS = 0.5


def every_record(target: Target, query: Query, limit: int) -> Iterator[Record]:
    """Yields the rows that match, newest first, at most `limit` of them."""
    table = target.predictions_table()
    cursor: str | None = None
    while limit > 0:
        page = table.list(query, limit=min(limit, PAGE_ROWS), cursor=cursor)
        yield from page.records
        limit -= len(page.records)
        cursor = page.cursor
        if cursor is None:
            return


def find_record(target: Target, key: str) -> Record:
    """Finds the row of an image by its key, its name under incoming/, or its s3:// address.

    Raises:
        UserError: there is none.
    """
    address = f"s3://{target.images_bucket}/"
    table = target.predictions_table()
    bare = key.removeprefix(address)
    for each in dict.fromkeys((bare, INCOMING_PREFIX + bare)):
        record = table.get(key if key.startswith("s3://") else address + each)
        if record is not None:
            return record
    raise UserError(
        f"There is no prediction of {key}.", "List all predictions with: imagedrop predictions"
    )


def wait_for_rows(
    target: Target,
    sent: Sequence[Sent],
    *,
    patience_seconds: float,
    on_rows: Callable[[int], None],
) -> dict[str, Record]:
    """Waits for the rows of exactly the versions that were sent, and returns them by key.

    Stops after ``patience_seconds`` without a new row; rows that are missing then are missing
    in what it returns.
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
