"""A folder of thirty images, with odd names and broken files, and the check of a run over it."""

from __future__ import annotations

from collections import Counter

from bulk.ledger import Fate
from tests.fakes import jpeg
from tests.unit.bulk.conftest import Bulk

ODD = ("a b+c%20é.jpg", "🐶/=1.jpg", "sub/dir/UPPER.JPG", "line\u2028separator.jpg")
BROKEN = {"empty.jpg": b"", "text.jpg": b"<html>", "half.jpg": jpeg()[: len(jpeg()) // 2]}


def fill(bulk: Bulk, count: int = 23) -> set[str]:
    """Put them into the bucket, beside files that a listing leaves out; return their keys."""
    keys = {f"folder/{number:03}.jpg": jpeg(number) for number in range(count)}
    keys |= {f"folder/{name}": jpeg(7) for name in ODD}
    keys |= {f"folder/{name}": body for name, body in BROKEN.items()}
    for key, body in keys.items():
        bulk.put(key, body)
    bulk.put("folder/", b"")
    bulk.put("folder/.DS_Store", b"x")
    bulk.put("elsewhere/1.jpg", jpeg())
    return set(keys)


def assert_accounted(bulk: Bulk, keys: set[str]) -> None:
    """Each key has exactly one line in the ledger that says how it ended."""
    assert Counter(entry.key for entry in bulk.ledger()) == Counter(keys)
    report = bulk.report()
    fates = sum(report[each] for each in Fate if each is not Fate.RESUBMITTED)
    assert (report["listed"], report["unaccounted"], fates) == (len(keys), 0, len(keys))
