"""One image's history: its model's training, its row, and the log lines that name it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from api.trace import steps_of
from archive.card import ModelCard
from changes.journal_table import JournalTable
from imagedrop.target import Target
from pipeline.adapters.service_errors import error_code
from pipeline.events import utc_text
from pipeline.log_lines import image_id
from pipeline.records import Record

Step = dict[str, str]

# Around the row's own times: a message waits in the queue for four days at most.
_BEFORE, _AFTER = timedelta(minutes=1), timedelta(days=4)
# The fields that Powertools adds to every line.
_COMMON = frozenset(
    {"level", "location", "message", "timestamp", "service", "cold_start", "xray_trace_id"}
    | {"function_name", "function_memory_size", "function_arn", "images", "image", "image_id"}
)


@dataclass(frozen=True, slots=True)
class Trace:
    """The steps in the order of time; ``gaps`` names what could not be looked up."""

    steps: list[Step]
    gaps: list[str]


def trace_of(target: Target, record: Record) -> Trace:
    """Returns an image's history, as far as the table, the registry and the log have it."""
    steps, gaps = [*_former_steps(target, record), *steps_of(record)], []
    if record.model is not None:
        model = list(_model_steps(target, record.model))
        steps += model
        if not model:
            gaps.append(f"the registry does not know the model {record.model}")
    try:
        steps += _log_steps(target, record)
    except ClientError as error:
        gaps.append(f"the log was not read: {error_code(error)}")
    return Trace(sorted(steps, key=lambda step: step["at"]), gaps)


def _former_steps(target: Target, record: Record) -> Iterator[Step]:
    """Yields the answers that others replaced."""
    if "JournalTableName" not in target.outputs:  # an older stack
        return
    journal = JournalTable(target.client("dynamodb"), target.outputs["JournalTableName"])
    for each in reversed(journal.history(record.image)):
        by = f" by {each['model']}" if each["model"] else ""
        detail = f"{each['label'] or each['reason']}{by}, version {each['version']}"
        yield _step(each["classified_at"], f"{each['status'].lower()} before", detail)


def _model_steps(target: Target, identity: str) -> Iterator[Step]:
    """Yields the model's training and registration."""
    name = identity.rpartition("@")[0]
    bucket = target.models_bucket()
    for package in target.model_registry().packages_of(name):
        if package.identity == identity:
            at = utc_text(package.created_at)
            yield _step(at, "model registered", f"{identity}, {package.approval.value}")
            yield _step(at, "model trained", _training(bucket.read_card(package.model_data_url)))
            return
    card = bucket.read_card(target.outputs["DefaultModelDataUrl"])
    if card.identity == identity:
        yield _step("", "model trained", _training(card))


def _training(card: ModelCard) -> str:
    """Returns the texts and numbers of the training's description in the card, the data first."""
    run: Mapping[str, Any] = card.training_run
    names = sorted(run, key=lambda name: (not name.startswith("data"), name))
    shown = [f"{name} {run[name]}" for name in names if isinstance(run[name], str | int)]
    return ", ".join((f"weights {card.weights_sha256[:12]}", *shown))


def _log_steps(target: Target, record: Record) -> Iterator[Step]:
    received = datetime.fromisoformat(record.received_at)
    stack = target.images_bucket.rpartition("-images-")[0]
    pages = (
        target.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/{stack}/classify",
            filterPattern=f'"{image_id(record.image)}"',
            startTime=_milliseconds(received - _BEFORE),
            endTime=_milliseconds(received + _AFTER),
        )
    )
    for page in pages:
        for event in page["events"]:
            yield _log_step(event["message"])


def _log_step(line: str) -> Step:
    """Returns a line of the log, which Powertools writes as JSON."""
    found = json.loads(line)
    about = {name: value for name, value in found.items() if name not in _COMMON}
    at = utc_text(datetime.fromisoformat(found["timestamp"]))
    detail = ", ".join(f"{name} {value}" for name, value in about.items())
    return _step(at, f"log: {found['message']}", detail)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _step(at: str, what: str, detail: str) -> Step:
    return {"at": at, "what": what, "detail": detail}
