"""A record as an item of the predictions table: DynamoDB's types and the keys of the indexes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

from pipeline.answers import Prediction
from pipeline.events import ImageRef
from pipeline.records import FIELD_NAMES, CandidateAnswer, Record, Review, Road, Status
from pipeline.review_items import reviews_of

# One partition of an index takes 1,000 writes a second, so four take 4,000 images a second, more
# than one endpoint answers. A listing reads all four.
INDEX_PARTITIONS = 4

Item = dict[str, dict[str, Any]]

# Every attribute that a written answer decides; all others of the row survive it.
ITEM_NAMES = (
    # An answer removes the candidate's, which belongs to the former answer.
    *(name for name in FIELD_NAMES if name != "review"),
    "disagrees",
    "sequencer",
    "answer",
    "time_shard",
    "label_shard",
    "recency",
    "sureness",
    "appearance",
)

# A confidence is stored with six decimals: more than float32 probabilities carry.
CONFIDENCE_DECIMALS = 6


def to_item(record: Record, ref: ImageRef) -> Item:
    """Returns the record's item, with the fields for its order and the keys of the indexes.

    ``sequencer`` orders the changes of one key; ``answer`` distinguishes a duplicate from another
    model's answer to the same version.
    """
    partition = str(zlib.crc32(record.image.encode()) % INDEX_PARTITIONS)
    item: Item = {
        "image": {"S": record.image},
        "key": {"S": record.key},
        "version": {"S": record.version},
        "status": {"S": record.status},
        "source": {"S": record.source},
        "bytes": {"N": str(record.bytes)},
        "received_at": {"S": record.received_at},
        "classified_at": {"S": record.classified_at},
        "sequencer": {"S": ref.sequencer},
        "answer": {"S": answer_identity(record)},
        "time_shard": {"S": partition},
        "recency": {"S": f"{record.classified_at}#{short_name(record.image)}"},
    }
    for name in ("reason", "model", "format", "group", "appearance"):
        if (text := getattr(record, name)) is not None:
            item[name] = {"S": text}
    for name in ("width", "height"):
        if (number := getattr(record, name)) is not None:
            item[name] = {"N": str(number)}
    if record.label is not None and record.confidence is not None:
        item["label"] = {"S": record.label}
        item["confidence"] = _confidence(record.confidence)
        item["label_shard"] = {"S": f"{record.label}#{partition}"}
        sureness = f"{record.confidence:.{CONFIDENCE_DECIMALS}f}"
        item["sureness"] = {"S": f"{sureness}#{short_name(record.image)}"}
        item["predictions"] = {
            "L": [
                {"M": {"label": {"S": each.label}, "confidence": _confidence(each.confidence)}}
                for each in record.predictions
            ]
        }
    return item


def short_name(image: str) -> str:
    """Returns a hash that distinguishes rows of one moment.

    An image's key alone may fill a sort key, which has at most 1,024 bytes.
    """
    return hashlib.sha256(image.encode()).hexdigest()[:16]


def answer_identity(record: Record) -> str:
    """Returns a text that is equal for two equal answers to one version."""
    return f"{record.status}:{record.model or record.reason or ''}"


def _confidence(value: float) -> dict[str, str]:
    return {"N": f"{value:.{CONFIDENCE_DECIMALS}f}"}


def from_item(item: Mapping[str, Mapping[str, Any]]) -> Record:
    def text(name: str) -> str | None:
        return item[name]["S"] if name in item else None

    def number(name: str) -> int | None:
        return int(item[name]["N"]) if name in item else None

    return Record(
        image=item["image"]["S"],
        key=item["key"]["S"],
        version=item["version"]["S"],
        status=Status(item["status"]["S"]),
        label=text("label"),
        confidence=float(item["confidence"]["N"]) if "confidence" in item else None,
        group=text("group"),
        predictions=tuple(
            Prediction(each["M"]["label"]["S"], float(each["M"]["confidence"]["N"]))
            for each in item.get("predictions", {}).get("L", [])
        ),
        reason=text("reason"),
        model=text("model"),
        source=Road(item["source"]["S"]),
        format=text("format"),
        width=number("width"),
        height=number("height"),
        bytes=int(item["bytes"]["N"]),
        received_at=item["received_at"]["S"],
        classified_at=item["classified_at"]["S"],
        candidate=_candidate(item),
        review=_shown_review(item),
        appearance=text("appearance"),
    )


def to_candidate_item(answer: CandidateAnswer, label: str | None) -> Item:
    """Returns a candidate's answer as attributes; ``disagrees`` is there if the labels differ."""
    item: Item = {
        "candidate": {
            "M": {
                "label": {"S": answer.label},
                "confidence": _confidence(answer.confidence),
                "model": {"S": answer.model},
                "at": {"S": answer.at},
            }
        }
    }
    return item if answer.label == label else item | {"disagrees": {"BOOL": True}}


def _candidate(item: Mapping[str, Mapping[str, Any]]) -> CandidateAnswer | None:
    if "candidate" not in item:
        return None
    given = item["candidate"]["M"]
    return CandidateAnswer(
        label=given["label"]["S"],
        confidence=float(given["confidence"]["N"]),
        model=given["model"]["S"],
        at=given["at"]["S"],
    )


def _shown_review(item: Mapping[str, Mapping[str, Any]]) -> Review | None:
    """Returns the review of the version that the row shows; a deleted image has none."""
    said = reviews_of(item)
    shows = said.version == item["version"]["S"] and item["status"]["S"] != Status.DELETED
    return said.shown if shows else None
