"""Read the predictions table: all rows, one image's, an upload's; and find a typed label."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from imagedrop.errors import UserError
from imagedrop.polling import poll_rows
from imagedrop.target import INCOMING_PREFIX, Target
from imagedrop.unicode_forms import choose, spellings
from imagedrop.uploads import Sent
from pipeline.queries import Query
from pipeline.records import Record, Status

PAGE_ROWS = 500
LABELS_SHOWN = 8


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


@dataclass(frozen=True, slots=True)
class Found:
    """The row of a typed name, and the rows of other images whose names only look the same."""

    record: Record
    twins: tuple[Record, ...]


def find_record(target: Target, key: str) -> Found:
    """Finds the row of an image by its key, its name under incoming/, or its s3:// address.

    The name as it was typed comes first, then its other Unicode forms.

    Raises:
        UserError: there is none, or several in other Unicode forms than the typed one.
    """
    address = f"s3://{target.images_bucket}/"
    bare = key.removeprefix(address)
    names = (
        [key] if bare.startswith("s3://") else [address + bare, address + INCOMING_PREFIX + bare]
    )
    groups = {name: spellings(name) for name in names}
    rows = target.predictions_table().get_many(list(chain.from_iterable(groups.values())))
    # An exact name in one folder takes precedence over another form in the other folder.
    for name in sorted(names, key=lambda each: each not in rows):
        same = {image: rows[image] for image in groups[name] if image in rows}
        present = [image for image, row in same.items() if row.status is not Status.DELETED]
        if same:
            record = same.pop(choose(name, same if name in same else present or same))
            return Found(record, tuple(same.values()))
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

    Stops after ``patience_seconds`` without a new row; returns the rows that exist by then.
    """
    address = f"s3://{target.images_bucket}/"
    versions = {address + each.upload.key: each.version for each in sent if each.version}
    rows = poll_rows(
        target.predictions_table(),
        versions,
        lambda row: row.version == versions[row.image],
        patience_seconds,
        on_rows,
    )
    return {record.key: record for record in rows.values()}


def find_label(target: Target, typed: str) -> str:
    """Returns the typed label, or the model's label that differs only in case or spacing.

    Raises:
        UserError: neither the model nor any row has such a label, or several fit.
    """
    labels = target.served_model().card.answers
    if typed in labels or any(every_record(target, Query(label=typed), 1)):
        return typed
    same = [each for each in labels if _loosely(each) == _loosely(typed)]
    if len(same) == 1:
        return same[0]
    shown = same or _near(typed, labels)
    begin = "Near it" if shown else f"The first of {len(labels)} labels"
    raise UserError(
        f"Neither a prediction nor the model in use has the label {typed!r}.",
        f"{begin}: {', '.join(shown or labels[:LABELS_SHOWN])}",
    )


def _near(typed: str, labels: Sequence[str]) -> list[str]:
    """Returns the labels that contain the text, then those with a similar spelling."""
    by_text = {_loosely(each): each for each in labels}
    wanted = _loosely(typed)
    containing = [text for text in by_text if wanted and wanted in text]
    close = difflib.get_close_matches(wanted, by_text, n=LABELS_SHOWN)
    found = dict.fromkeys((*containing, *close))
    return [by_text[text] for text in found][:LABELS_SHOWN]


def _loosely(label: str) -> str:
    """Returns a label without differences of case, Unicode form and spacing."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).casefold())
    return re.sub(r"[\s_-]+", " ", folded).strip()
