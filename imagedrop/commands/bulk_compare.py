"""``imagedrop bulk start --rows … --model … --compare``: compare another model on existing rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from bulk.run import RunFiles
from imagedrop.bulk.reports import work_bucket
from imagedrop.bulk.rows import ComparedRows
from imagedrop.bulk.runs import name_run
from imagedrop.bulk.source import Listing, Source
from imagedrop.commands.filters import matching, typed_query
from imagedrop.errors import UserError
from imagedrop.models.candidates import (
    Candidate,
    abstentions,
    cards_of,
    find_candidate,
    make_model,
)
from imagedrop.output import say
from imagedrop.target import Target
from pipeline.records import Status

BUCKET = "bucket"


def count_rows(found: Target, rows: str, model: str) -> Listing:
    """Returns the rows that a comparison would cover; changes nothing.

    Raises:
        UserError: as `rows_to_compare`.
    """
    chosen = _chosen(found, rows, find_candidate(found, model))
    for _ in _lines(chosen):
        pass
    _say_left_out(chosen)
    return Listing(chosen.images, chosen.size_bytes, 0)


def rows_to_compare(found: Target, rows: str, model: str) -> tuple[str, Source, dict[str, Any]]:
    """Writes the rows as the source of a new run; returns its name, source and candidate. The
    candidate is in the form that `bulk.begin` reads.

    Raises:
        UserError: the filters are malformed or match nothing that can be compared, or there is no
            such candidate.
    """
    candidate = find_candidate(found, model)
    chosen = _chosen(found, rows, candidate)
    lines = _lines(chosen)
    run = name_run(f"compare-{candidate.card.name}", datetime.now(UTC))
    work, key = work_bucket(found), RunFiles(run).rows
    work.write_stream(key, lines, "application/jsonl")
    _say_left_out(chosen)
    say(f"{chosen.images:,} rows, answered by {', '.join(sorted(chosen.models))}.")
    cards = cards_of(found, candidate, chosen.models)
    source = {"kind": "rows", "uri": f"s3://{work.name}/{key}", "filters": rows}
    return (
        run,
        source,
        {
            "model": candidate.card.identity,
            "sagemaker_model": make_model(found, candidate),
            "image_spec": candidate.card.image_spec.to_json(),
            "abstentions": abstentions(cards),
        },
    )


def _chosen(found: Target, rows: str, candidate: Candidate) -> ComparedRows:
    query, others = typed_query(rows, (BUCKET,))
    if query.status not in (None, Status.CLASSIFIED):
        raise UserError("Only rows with an answer can be compared.", "Leave status out of --rows.")
    records = matching(found, replace(query, status=Status.CLASSIFIED), sys.maxsize)
    bucket = others.get(BUCKET, found.images_bucket)
    return ComparedRows(records, bucket, found.images_bucket, candidate.card.identity)


def _lines(chosen: ComparedRows) -> Iterator[bytes]:
    """Returns the lines, of which there is one at least."""
    lines = chosen.lines()
    first = next(lines, None)
    if first is None:
        _say_left_out(chosen)
        raise UserError("No row can be compared.", "See what matches: imagedrop predictions")
    return chain([first], lines)


def _say_left_out(chosen: ComparedRows) -> None:
    if chosen.answered:
        say(f"{chosen.answered:,} rows are left out: {chosen.candidate} has already answered them.")
    for bucket, count in chosen.elsewhere.items():
        say(f"{count:,} rows of {bucket} are left out; for those add to --rows: bucket={bucket}")
