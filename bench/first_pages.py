"""The first page of each filter over 100,000 rows: milliseconds, and requests to the table.

    python -m bench.first_pages [--rows 100000] [--rounds 5]

The rows are written into the table of a local cloud. Each page is then asked of its API, as
`imagedrop page` does, so the time has everything behind the signed call in it. CPU is that of the
emulator and the function together: what a page takes on a machine without other work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import httpx

from api.requests import ListRequest
from bench.drop import Processes, a_cloud
from bench.export import Photo, answer_of, ref_of
from imagedrop.page.signed_api import SignedApi
from imagedrop.target import Target, local_target
from imaging import Rejection, RejectReason
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.records import Road, classified, rejected
from pipeline.table_items import Item, to_item

MOST_REQUESTS = 5
MOST_MILLISECONDS = 300
LIMIT = "limit=60"  # as functions/page/static/listing.js asks
BATCH_ITEMS = 25  # DynamoDB's limit for one BatchWriteItem
FILTERS = (
    "",
    "sort=oldest",
    "sort=most_sure",
    "sort=least_sure",
    "label=label_7",
    "status=classified",
    "status=rejected",
    "status=deleted",
    "min_confidence=0.9",
    "max_confidence=0.1",
    "since=2026-01-01T06:00:00Z",
    "until=2026-01-01T06:00:00Z",
    "model=dogs@1",
    "model=none@1",
    "source=bulk",
    "reviewed=true",
    "reviewed=false",
    "group=hounds",
    "label=label_7&min_confidence=0.9&sort=least_sure",
    "label=label_7&status=classified&model=dogs@1&source=drop&reviewed=false&group=hounds"
    "&min_confidence=0.2&max_confidence=0.8&since=2026-01-01&until=2026-12-31",
)


def items(count: int) -> Iterator[Item]:
    """Yields rows, one a second: every label, model, road and status, a tenth reviewed."""
    chance = random.Random(7)  # noqa: S311 - rows, not secrets
    for number in range(count):
        ref = ref_of(number)
        at = ref.received_at
        if chance.random() < 0.05:
            yield to_item(rejected(ref, Rejection(RejectReason.TRUNCATED, "cut"), at), ref)
            continue
        answer = answer_of(number, round(chance.random(), 6), f"dogs@{1 + number % 3}")
        record = classified(ref, Photo(), answer, at)
        group = "hounds" if chance.random() < 0.2 else None
        road = Road.BULK if chance.random() < 0.1 else Road.DROP
        item = to_item(replace(record, group=group, source=road), ref)
        if chance.random() < 0.1:
            item["reviewed_version"] = item["version"]
        yield item


def fill(target: Target, count: int) -> None:
    """Writes the rows, without the function that follows the table's stream."""
    functions = target.client("lambda")
    for each in functions.list_event_source_mappings()["EventSourceMappings"]:
        if ":dynamodb:" in each["EventSourceArn"]:
            functions.update_event_source_mapping(UUID=each["UUID"], Enabled=False)
    table, dynamodb = target.outputs["PredictionsTableName"], target.client("dynamodb")

    def write(puts: list[Any]) -> None:
        assert not dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]

    puts = [{"PutRequest": {"Item": each}} for each in items(count)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, (puts[at : at + BATCH_ITEMS] for at in range(0, count, BATCH_ITEMS))))


class CountedQueries:
    """A client of DynamoDB that counts its queries."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self.queries = 0

    def query(self, **asked: Any) -> Any:
        self.queries += 1
        return self._dynamodb.query(**asked)


def requests_of(target: Target, filters: str) -> int:
    """Returns how many requests a filter's first page sends to the table."""
    counted: Any = CountedQueries(target.client("dynamodb"))
    asked = ListRequest.parse(dict(parse_qsl(filters)), filters, datetime.now(UTC))
    PredictionsTable(counted, target.outputs["PredictionsTableName"]).list(
        asked.query, limit=asked.limit
    )
    queries: int = counted.queries
    return queries


async def print_pages(target: Target, processes: Processes, rounds: int) -> None:
    """Prints each filter's line; raises AssertionError if one takes too many requests or too long.

    CPU time is judged: the median of the times has other work of the machine in it.
    """
    slow = []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        api = SignedApi(target.outputs["ApiUrl"].rstrip("/"), target.session, http)
        await api.call("GET", "health", "", {}, b"")  # starts the function
        print("requests  CPU ms      ms   rows  filters", flush=True)
        for filters in FILTERS:
            times, cpu_before = [], sum(processes.cpu_seconds().values())
            for _ in range(rounds):
                began = time.perf_counter()
                answer = await api.call("GET", "predictions", f"{LIMIT}&{filters}", {}, b"")
                times.append(1000 * (time.perf_counter() - began))
                assert answer.status == HTTPStatus.OK, answer.content
            cpu_seconds = sum(processes.cpu_seconds().values()) - cpu_before
            cpu_milliseconds = 1000 * cpu_seconds / rounds
            rows = len(json.loads(answer.content)["predictions"])
            requests, milliseconds = requests_of(target, filters), statistics.median(times)
            figures = f"{requests:>8} {cpu_milliseconds:>7.0f} {milliseconds:>7.0f} {rows:>6}"
            print(f"{figures}  {filters or '(none)'}", flush=True)
            if requests > MOST_REQUESTS or cpu_milliseconds > MOST_MILLISECONDS:
                slow.append(filters)
    assert not slow, f"too slow: {slow}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with a_cloud() as running:
        target = local_target(running)
        began = time.perf_counter()
        fill(target, arguments.rows)
        print(
            f"  {arguments.rows:,} rows written in {time.perf_counter() - began:.0f} s", flush=True
        )
        asyncio.run(print_pages(target, Processes(running), arguments.rounds))


if __name__ == "__main__":
    main()
