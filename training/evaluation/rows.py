"""One row for each measured photo, for people's own tools: `evaluation.csv`, and in the JSON.

docs/training.md says how FiftyOne, cleanlab and spreadsheets read them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import LabelledImage
from training.data.learned_photos import Acquaintance
from training.evaluation.measure import Predicted

BEST = 5
# The loss of a probability that is 0 in float32 would be infinite, which JSON does not know.
_LEAST_PROBABILITY = 1e-45
# Spreadsheets run a cell that begins with one of these as a formula.
_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """A measured photo.

    Attributes:
        path: within the data set, with `/`.
        truth: the model's label of the photo's class.
        best: up to BEST labels with their confidences, the likeliest first.
        loss: the cross entropy in nats.
        gated: whether the model's gate would have withheld its labels.
        knows: how the training used the photo; None for a new photo.
    """

    path: str
    truth: str
    best: tuple[tuple[str, float], ...]
    loss: float
    gated: bool
    knows: Acquaintance | None

    @property
    def is_right(self) -> bool:
        return self.best[0][0] == self.truth

    @property
    def is_learned(self) -> bool:
        """Whether the model learned from the photo."""
        return self.knows is not None and self.knows.use == "train"

    @property
    def known_by(self) -> str:
        """`learned`, `chose the epoch`, or nothing for a photo that is new to the model."""
        if self.knows is None:
            return ""
        use = "learned" if self.knows.use == "train" else "chose the epoch"
        return use if self.knows.is_same_file else f"{use} (a copy)"

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "truth": self.truth,
            "best": [{"label": label, "confidence": share} for label, share in self.best],
            "right": self.is_right,
            "loss": self.loss,
            "gated": self.gated,
            "known_by": self.known_by,
        }


def rows_of(
    measured: Predicted,
    labels: Sequence[str],
    folder: Path,
    known: Mapping[LabelledImage, Acquaintance],
) -> tuple[PhotoRow, ...]:
    """Makes the rows, in the order of the measured photos."""
    best = np.argsort(-measured.probabilities, axis=1, kind="stable")[:, :BEST]
    return tuple(
        PhotoRow(
            path=image.path.relative_to(folder).as_posix(),
            truth=labels[truth],
            best=tuple((labels[place], float(shares[place])) for place in places),
            loss=-math.log(max(float(shares[truth]), _LEAST_PROBABILITY)) + 0.0,
            gated=bool(gated),
            knows=known.get(image),
        )
        for image, truth, shares, places, gated in zip(
            measured.images,
            measured.truth.tolist(),
            measured.probabilities,
            best,
            measured.gated,
            strict=True,
        )
    )


def csv_text(rows: Sequence[PhotoRow]) -> str:
    """The content of `evaluation.csv`: RFC 4180 with a heading, in UTF-8.

    A path that a spreadsheet would run as a formula begins with `./`, which means the same file.
    Such a label gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    ranks = range(1, BEST + 1)
    best = [f"{what}_{rank}" for rank in ranks for what in ("label", "confidence")]
    writer.writerow(["path", "truth", "right", "loss", *best, "gated", "known_by"])
    for row in rows:
        cells: list[str] = []
        for rank in range(BEST):
            label, share = row.best[rank] if rank < len(row.best) else ("", None)
            cells += [_label(label), "" if share is None else f"{share:.6g}"]
        path = f"./{row.path}" if row.path.startswith(_FORMULA_BEGINNINGS) else row.path
        numbers = [str(row.is_right).lower(), f"{row.loss:.6g}"]
        gated = str(row.gated).lower()
        writer.writerow([path, _label(row.truth), *numbers, *cells, gated, row.known_by])
    return buffer.getvalue()


def _label(label: str) -> str:
    return f"'{label}" if label.startswith(_FORMULA_BEGINNINGS) else label
