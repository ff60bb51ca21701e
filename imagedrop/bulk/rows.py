"""The rows that a run of comparison is about, as lines of a listing with their answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bulk.comparison import LiveAnswer
from bulk.run import Listed
from pipeline.records import Record, ref_to_read


@dataclass(slots=True)
class ComparedRows:
    """Rows of one bucket, counted while they are read; a run covers one bucket.

    Attributes:
        images_bucket: the stack's own, which keeps versions.
        candidate: NAME@VERSION; rows that it has answered are left out.
        models: that answered the taken rows.
        elsewhere: rows of other buckets, which are left out, by bucket.
    """

    records: Iterable[Record]
    bucket: str
    images_bucket: str
    candidate: str
    images: int = 0
    size_bytes: int = 0
    answered: int = 0
    models: set[str] = field(default_factory=set)
    elsewhere: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[bytes]:
        """Yields a line for each row that is compared."""
        for record in self.records:
            bucket = record.image.removeprefix("s3://").partition("/")[0]
            live = LiveAnswer.of(record)
            if bucket != self.bucket:
                self.elsewhere[bucket] += 1
            elif record.model == self.candidate:
                self.answered += 1
            elif live is not None:
                self.images += 1
                self.size_bytes += record.bytes
                self.models.add(live.model)
                listed = Listed.from_ref(ref_to_read(record, record.version, self.images_bucket))
                yield json.dumps(replace(listed, live=live.to_json()).to_json()).encode() + b"\n"
