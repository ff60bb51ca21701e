"""The differences between a candidate's answers and those in the rows when the run started.

A comparison is a sum: those of all chunks add up to the run's, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bulk.ledger import Entry, Fate
from bulk.prepare_chunk import Predictions
from bulk.run import BulkRun, Listed
from pipeline.events import ImageRef
from pipeline.records import Record, Written
from pipeline.review import DECISIONS
from pipeline.url_text import to_url_text

BINS = 15  # of the reliability, as training.statistics.metrics
EXAMPLES_OF_A_FLIP = 4
FLIPS_WITH_EXAMPLES = 50  # most frequent ones, in the report
BOTH, ONLY_LIVE, ONLY_CANDIDATE, NEITHER = "both", "only_live", "only_candidate", "neither"


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """A row's answer when the run was started, and what a person said about it.

    Attributes:
        model: that answered.
        is_reviewed: whether a person has decided about this version.
        truth: the label that the person named; None if no label fits.
    """

    label: str
    confidence: float
    model: str
    is_reviewed: bool = False
    truth: str | None = None

    @classmethod
    def of(cls, record: Record) -> LiveAnswer | None:
        """Returns a row's answer; None for a row without one."""
        if record.label is None or record.confidence is None or record.model is None:
            return None
        said = record.review
        if said is None or said.action not in DECISIONS:
            return cls(record.label, record.confidence, record.model)
        return cls(record.label, record.confidence, record.model, True, said.label)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class UntouchedRows:
    """Replaces the predictions table in a comparison, which neither reads nor writes a row."""

    def get_many(self, images: Sequence[str]) -> dict[str, Record]:  # noqa: ARG002 - its shape
        return {}

    def write_listed(self, record: Record, ref: ImageRef) -> Written:  # noqa: ARG002
        return Written.NOW

    def insert_listed(self, answers: Sequence[tuple[Record, ImageRef]]) -> set[str]:
        return {ref.image for _, ref in answers}


def rows_for(run: BulkRun, table: Predictions) -> Predictions:
    """Returns the rows that a run reads and writes."""
    return UntouchedRows() if run.compares else table


@dataclass(slots=True)
class Flip:
    """Images to which the candidate gives another label; the first of them as examples."""

    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Flip) -> None:
        self.count += other.count
        self.examples += other.examples[: EXAMPLES_OF_A_FLIP - len(self.examples)]


@dataclass(slots=True)
class Reliability:
    """Confidence and truth of reviewed answers, in bins of equal width from 0 to 1.

    Answers outside the model's own labels are left out: their confidence means something else.
    """

    counts: list[int] = field(default_factory=lambda: [0] * BINS)
    confidences: list[float] = field(default_factory=lambda: [0.0] * BINS)  # sums
    right: list[int] = field(default_factory=lambda: [0] * BINS)

    def count(self, confidence: float, *, is_right: bool) -> None:
        place = min(int(confidence * BINS), BINS - 1)
        self.counts[place] += 1
        self.confidences[place] += confidence
        self.right[place] += is_right

    def add(self, other: Reliability) -> None:
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        pairs = zip(self.confidences, other.confidences, strict=True)
        self.confidences = [a + b for a, b in pairs]
        self.right = [a + b for a, b in zip(self.right, other.right, strict=True)]

    def summary(self) -> dict[str, Any]:
        """Returns the bins that are not empty, and the expected calibration error.

        C. Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3. None without
        images.
        """
        images = sum(self.counts)
        filled = [
            (count, confidence, right)
            for count, confidence, right in zip(
                self.counts, self.confidences, self.right, strict=True
            )
            if count
        ]
        away = sum(abs(confidence - right) for _, confidence, right in filled)
        return {
            "images": images,
            "ece": away / images if images else None,
            "bins": [
                {"count": count, "confidence": confidence / count, "accuracy": right / count}
                for count, confidence, right in filled
            ],
        }


@dataclass(slots=True)
class Comparison:
    """Sums over the images that both models have answered.

    Attributes:
        models: images by the model of the row.
        flips: by the row's label and the candidate's.
        right: of the reviewed images, how many each of the two has right.
        abstained: of all images, to how many each of the two gives none of its labels.
        live, candidate: of the reviewed images.
    """

    compared: int = 0
    models: Counter[str] = field(default_factory=Counter)
    flips: dict[tuple[str, str], Flip] = field(default_factory=dict)
    right: Counter[str] = field(default_factory=Counter)
    abstained: Counter[str] = field(default_factory=Counter)
    live: Reliability = field(default_factory=Reliability)
    candidate: Reliability = field(default_factory=Reliability)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Comparison:
        return cls(
            compared=value["compared"],
            models=Counter(value["models"]),
            flips={
                (each["from"], each["to"]): Flip(each["count"], each["examples"])
                for each in value["flips"]
            },
            right=Counter(value["right"]),
            abstained=Counter(value["abstained"]),
            live=Reliability(**value["live"]),
            candidate=Reliability(**value["candidate"]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "compared": self.compared,
            "models": self.models,
            "flips": [
                {"from": old, "to": new, "count": flip.count, "examples": flip.examples}
                for (old, new), flip in self.flips.items()
            ],
            "right": self.right,
            "abstained": self.abstained,
            "live": asdict(self.live),
            "candidate": asdict(self.candidate),
        }

    def count(
        self, live: LiveAnswer, entry: Entry, listed: Listed, abstentions: Collection[str]
    ) -> None:
        """Counts one image that the candidate has answered.

        After "not one of these" a model is right only if it gives none of its labels.
        """
        label, confidence = entry.label or "", entry.confidence or 0.0
        self.compared += 1
        self.models[live.model] += 1
        self.abstained[_which(live.label in abstentions, label in abstentions)] += 1
        if label != live.label:
            flip = self.flips.setdefault((live.label, label), Flip())
            flip.add(Flip(1, [_example(live, entry, listed)]))
        if live.is_reviewed:
            # Confirming that none of one model's labels fits confirms it for every model.
            truth = {live.truth} if live.truth and live.truth not in abstentions else abstentions
            self.right[_which(live.label in truth, label in truth)] += 1
            if live.label not in abstentions:
                self.live.count(live.confidence, is_right=live.label in truth)
            if label not in abstentions:
                self.candidate.count(confidence, is_right=label in truth)

    def add(self, other: Comparison) -> None:
        self.compared += other.compared
        self.models.update(other.models)
        for pair, flip in other.flips.items():
            self.flips.setdefault(pair, Flip()).add(flip)
        self.right.update(other.right)
        self.abstained.update(other.abstained)
        self.live.add(other.live)
        self.candidate.add(other.candidate)

    def report(self) -> dict[str, Any]:
        """Returns ``comparison`` of the report; shares are None where there is nothing to share."""
        flipped = sum(flip.count for flip in self.flips.values())
        agreed, reviewed = self.compared - flipped, sum(self.right.values())
        both = self.right[BOTH]
        return {
            "compared": self.compared,
            "agreed": agreed,
            "agreement": _share(agreed, self.compared),
            "live_models": dict(self.models.most_common()),
            "flips": self._flips(),
            "reviewed": reviewed,
            "right": _four(self.right),
            "accuracy": {
                "live": _share(both + self.right[ONLY_LIVE], reviewed),
                "candidate": _share(both + self.right[ONLY_CANDIDATE], reviewed),
            },
            "abstained": _four(self.abstained),
            "calibration": {"live": self.live.summary(), "candidate": self.candidate.summary()},
        }

    def _flips(self) -> list[dict[str, Any]]:
        ordered = sorted(self.flips.items(), key=lambda item: (-item[1].count, item[0]))
        return [
            {
                "from": old,
                "to": new,
                "count": flip.count,
                "examples": flip.examples if place < FLIPS_WITH_EXAMPLES else [],
            }
            for place, ((old, new), flip) in enumerate(ordered)
        ]


def compare(run: BulkRun, listed: Iterable[Listed], entries: Iterable[Entry]) -> Comparison:
    """Joins a chunk's rows with the candidate's answers; without one a row is not compared."""
    rows = {each.key: each for each in listed}
    comparison = Comparison()
    for entry in entries:
        row = rows[entry.key]
        if entry.fate is Fate.CLASSIFIED and row.live is not None:
            comparison.count(LiveAnswer(**row.live), entry, row, run.abstentions)
    return comparison


def _example(live: LiveAnswer, entry: Entry, listed: Listed) -> dict[str, Any]:
    image = listed.to_ref().image
    return {
        "id": to_url_text(image),
        "key": entry.key,
        "bucket": listed.bucket,
        "version": entry.version,
        "versioned": listed.versioned,
        "live_confidence": live.confidence,
        "confidence": entry.confidence,
        "is_reviewed": live.is_reviewed,
        "truth": live.truth,
    }


def _which(live: bool, candidate: bool) -> str:
    return {
        (True, True): BOTH,
        (True, False): ONLY_LIVE,
        (False, True): ONLY_CANDIDATE,
        (False, False): NEITHER,
    }[live, candidate]


def _four(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: counted.get(name, 0) for name in (BOTH, ONLY_LIVE, ONLY_CANDIDATE, NEITHER)}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
