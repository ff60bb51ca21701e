"""The answers of trainings to photos that they were not trained on: `out_of_fold.npz`.

`train` writes the file into its output folder. Calibration, thresholds, confusions and doubtful
labels of the best training are read from it, without another training. It holds these arrays, for n
photos, c labels and r cross-validations, one for each seed:

=========  ================  ===================================================================
schema     int64 []          1
kind       str []            `folds`: a fold's training answered, at its last epoch, the photos of
                             the fold. `validation`: a training without folds answered its
                             validation photos, and chose its epoch by them.
labels     str [c]           in the order of the logits
paths      str [n]           within the data set, with `/`
sha256     str [n]           of the photo's bytes, 64 hex digits: the key of all that is kept of it
truth      int64 [n]         index of the photo's label
seeds      int64 [r]
fold       int64 [r, n]      which fold the photo was left out in, from 0
logits     float32 [r, n, c]
=========  ================  ===================================================================

`numpy.load` reads it, without pickle. Later versions may add arrays.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from training.errors import TrainingError

FILE_NAME = "out_of_fold.npz"
SCHEMA = 1
Kind = Literal["folds", "validation"]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """The content of the file; the module says what the arrays are."""

    kind: Kind
    labels: tuple[str, ...]
    paths: tuple[str, ...]
    digests: tuple[str, ...]
    """`sha256` in the file."""
    truth: npt.NDArray[np.int64]
    seeds: tuple[int, ...]
    fold: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """The answers with the first seed, float64 [n, c]; one model's, so fit for calibration."""
        return softmax(self.logits[0])

    @property
    def mean_probabilities(self) -> npt.NDArray[np.float64]:
        """The mean over all seeds, float64 [n, c]; steadier, so fit to find doubtful labels."""
        mean: npt.NDArray[np.float64] = softmax(self.logits).mean(axis=0)
        return mean

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """The cross entropy of each photo with the first seed, float64 [n], in nats."""
        return cross_entropy(self.logits[0], self.truth)


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probabilities over the last axis, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def cross_entropy(
    logits: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The cross entropy of each row in nats; exact where a probability would underflow.

    Args:
        logits: [n, c].
        truth: [n].

    Returns:
        float64 [n].
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    own = np.take_along_axis(shifted, truth[:, None], axis=1)[:, 0]
    losses: npt.NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - own
    return losses


def write_out_of_fold(answers: OutOfFold, folder: Path) -> Path:
    """Writes the file, complete or not at all; returns its path.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    unfinished = file.with_name(f"{FILE_NAME}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as opened:
            np.savez_compressed(
                opened,
                schema=np.int64(SCHEMA),
                kind=np.str_(answers.kind),
                labels=np.array(answers.labels, np.str_),
                paths=np.array(answers.paths, np.str_),
                sha256=np.array(answers.digests, np.str_),
                truth=np.asarray(answers.truth, np.int64),
                seeds=np.array(answers.seeds, np.int64),
                fold=np.asarray(answers.fold, np.int64),
                logits=np.asarray(answers.logits, np.float32),
            )
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return file


def read_out_of_fold(file: Path) -> OutOfFold:
    """Reads the file, or the one in a training's output folder.

    Raises:
        TrainingError: there is none, it is damaged, or of a later version.
    """
    file = file / FILE_NAME if file.is_dir() else file
    try:
        with np.load(file, allow_pickle=False) as saved:
            if int(saved["schema"]) != SCHEMA:
                raise ValueError(f"schema {int(saved['schema'])} is not {SCHEMA}")
            answers = OutOfFold(
                kind="folds" if str(saved["kind"]) == "folds" else "validation",
                labels=tuple(saved["labels"].tolist()),
                paths=tuple(saved["paths"].tolist()),
                digests=tuple(saved["sha256"].tolist()),
                truth=saved["truth"],
                seeds=tuple(saved["seeds"].tolist()),
                fold=saved["fold"],
                logits=saved["logits"],
            )
    except FileNotFoundError:
        raise TrainingError(
            f"There is no {file}.", "Train with: imagedrop train --data FOLDER --folds 4"
        ) from None
    except (BadZipFile, EOFError, KeyError, TypeError, ValueError, zlib.error) as error:
        raise TrainingError(
            f"{file} cannot be used: {error}.", "Train again with: imagedrop train --folds 4"
        ) from error
    return _checked(answers, file)


def _checked(answers: OutOfFold, file: Path) -> OutOfFold:
    """Refuses arrays that do not fit each other, or are not logits: the file may come from
    anywhere."""
    repeats, photos, labels = len(answers.seeds), len(answers.paths), len(answers.labels)
    fit = (
        repeats >= 1
        and len(answers.digests) == photos
        and answers.truth.shape == (photos,)
        and answers.fold.shape == (repeats, photos)
        and answers.logits.shape == (repeats, photos, labels)
        and bool(((answers.truth >= 0) & (answers.truth < labels)).all())
    )
    if not fit:
        raise TrainingError(
            f"{file} cannot be used: its arrays do not fit each other.",
            "Train again with: imagedrop train --folds 4",
        )
    if (
        not np.issubdtype(answers.logits.dtype, np.floating)
        or not np.isfinite(answers.logits).all()
    ):
        raise TrainingError(
            f"{file} cannot be used: its logits are not all finite numbers.",
            "Train again with: imagedrop train --folds 4",
        )
    return answers
