"""A bulk step that is killed at any of its calls and run again has the same result.

Step Functions runs a chunk's function again when it ended without an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import pytest

from bulk.work_bucket import WorkBucket
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.records import Record, Status
from tests.fakes import jpeg
from tests.moto_clients import client_of
from tests.unit.bulk.conftest import Bulk, bulk_run

pytestmark = pytest.mark.thorough

IMAGES = {
    "folder/1.jpg": jpeg(0),
    "folder/2.jpg": jpeg(60),
    "folder/3.jpg": jpeg(200),
    "folder/no image.jpg": b"<html>",
}
EXPECTED = {
    "folder/1.jpg": (Status.CLASSIFIED, "0"),
    "folder/2.jpg": (Status.CLASSIFIED, "60"),
    "folder/3.jpg": (Status.CLASSIFIED, "200"),
    "folder/no image.jpg": (Status.REJECTED, "not_an_image"),
}


class Killed(BaseException):
    """The end of a process: nothing catches it."""


class Killer:
    """Clients whose call number ``place`` is the last of the process, before or after it worked."""

    def __init__(self, place: int | None = None, moment: str = "before") -> None:
        self._place, self._moment = place, moment
        self._lock = Lock()
        self.calls: list[str] = []
        self.has_struck = False

    def client(self, inner: Any) -> Any:
        return _Client(inner, self)

    def make(self, name: str, call: Callable[..., Any], request: dict[str, Any]) -> Any:
        with self._lock:  # also: one call at a time, so that a number is the same call every time
            if self.has_struck:
                raise Killed
            strikes = len(self.calls) == self._place
            self.calls.append(name)
            if not strikes:
                return call(**request)
            self.has_struck = True
            if self._moment == "after":
                call(**request)
            raise Killed


class _Client:
    def __init__(self, inner: Any, killer: Killer) -> None:
        self._inner, self._killer = inner, killer

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name == "get_paginator" or not callable(call):
            return call
        return lambda **request: self._killer.make(name, call, request)


def reached_by(bulk: Bulk, killer: Killer) -> Bulk:
    """The same run, through clients that may kill."""
    s3 = killer.client(bulk.s3)
    table = PredictionsTable(killer.client(client_of("dynamodb")), "predictions")
    return Bulk(s3, table, bulk.run, WorkBucket(s3, "work"))


def steps(bulk: Bulk) -> Iterator[tuple[str, Callable[[Bulk], Any]]]:
    """The workflow of one round; what is not a function of ours runs undisturbed."""
    yield "prepare", lambda reached: reached.prepare()
    bulk.plan()
    job = bulk.transform()
    yield "record", lambda reached: reached.record()
    yield "reconcile", lambda reached: reached.reconcile(0, job)
    yield "delete", lambda reached: reached.delete_shards()


def fresh(bulk: Bulk, name: str) -> Bulk:
    """A listed run of its own over the same images, and no rows."""
    dynamodb = client_of("dynamodb")
    for item in dynamodb.scan(TableName="predictions")["Items"]:
        dynamodb.delete_item(TableName="predictions", Key={"image": item["image"]})
    made = Bulk(bulk.s3, bulk.table, bulk_run(name=name), bulk.work)
    made.list()
    return made


def told(record: Record | None) -> tuple[Status, str | None] | None:
    return record and (record.status, record.label or record.reason)


def assert_as_if_nothing_had_been(bulk: Bulk, about: object) -> None:
    assert {key: told(bulk.row(key)) for key in IMAGES} == EXPECTED, about
    entries = sorted((entry.key, str(entry.fate)) for entry in bulk.ledger())
    fates = [(key, str(status).lower()) for key, (status, _) in sorted(EXPECTED.items())]
    assert entries == fates, about
    report = bulk.report()
    counts = tuple(report[name] for name in ("listed", "classified", "rejected", "unaccounted"))
    assert (report["status"], *counts) == ("COMPLETE", 4, 3, 1, 0), about
    left = [*bulk.work.keys(bulk.files.shards), *bulk.work.keys(bulk.files.outputs)]
    assert left == [], about


def run_with(bulk: Bulk, step: str, killer: Killer) -> None:
    """One round in which ``step`` meets the killer, and is run again."""
    for name, go in steps(bulk):
        if name != step:
            go(bulk)
            continue
        try:
            go(reached_by(bulk, killer))
        except Killed:
            go(bulk)


@pytest.mark.parametrize("step", ["prepare", "record", "reconcile", "delete"])
def test_killed_at_every_call_a_step_run_again_ends_the_same(bulk: Bulk, step: str) -> None:
    for key, body in IMAGES.items():
        bulk.put(key, body)
    undisturbed = fresh(bulk, "undisturbed")
    counting = Killer()
    run_with(undisturbed, step, counting)
    assert_as_if_nothing_had_been(undisturbed, step)
    assert len(counting.calls) >= (2 if step == "delete" else 5)
    for place, call in enumerate(counting.calls):
        for moment in ("before", "after"):
            killer = Killer(place, moment)
            made = fresh(bulk, f"{step}-{place}-{moment}")
            run_with(made, step, killer)
            assert killer.has_struck
            assert_as_if_nothing_had_been(made, (step, place, call, moment))
