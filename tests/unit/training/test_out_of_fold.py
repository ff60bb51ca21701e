"""The answers out of fold are a plain file that is read back unchanged, and is not trusted."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.statistics.out_of_fold import (
    FILE_NAME,
    OutOfFold,
    cross_entropy,
    read_out_of_fold,
    softmax,
    write_out_of_fold,
)


def answers() -> OutOfFold:
    """Three photos, two labels, two seeds; one name is not UTF-8."""
    return OutOfFold(
        kind="folds",
        labels=("cat", "dög"),
        paths=("cat/1.jpg", "dög/\udcff.jpg", "dög/2.jpg"),
        digests=("a" * 64, "b" * 64, "c" * 64),
        truth=np.array([0, 1, 1]),
        seeds=(1, 2),
        fold=np.array([[0, 1, 0], [1, 1, 0]]),
        logits=np.array([[[0, 0], [0, 1], [-900, 900]], [[1, 0]] * 3], np.float32),
    )


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    kept = answers()
    file = write_out_of_fold(kept, tmp_path / "output")
    assert file.name == FILE_NAME
    for place in (file, tmp_path / "output"):
        found = read_out_of_fold(place)
        for name in ("kind", "labels", "paths", "digests", "seeds"):
            assert getattr(found, name) == getattr(kept, name)
        for name in ("truth", "fold", "logits"):
            assert np.array_equal(getattr(found, name), getattr(kept, name))


def test_probabilities_are_those_of_the_first_seed_and_their_mean_of_all() -> None:
    kept = answers()
    assert kept.probabilities[0].tolist() == [0.5, 0.5]
    own = math.e / (1 + math.e)
    assert kept.mean_probabilities[0, 0] == pytest.approx((0.5 + own) / 2)
    assert kept.losses == pytest.approx([math.log(2), math.log(1 + math.exp(-1)), 0.0])


def test_loss_of_a_probability_that_underflows_is_still_exact() -> None:
    logits = np.array([[900, -900]], np.float32)
    assert softmax(logits)[0, 1] == 0
    assert cross_entropy(logits, np.array([1])) == pytest.approx([1800])


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--folds 4"):
        read_out_of_fold(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"truth": np.array([0, 1, 2])},
        {"truth": np.array([0, 1])},
        {"digests": ("a" * 64,)},
        {"logits": np.zeros((2, 3, 3), np.float32)},
        {"seeds": ()},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    write_out_of_fold(replace(answers(), **wrong), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="do not fit"):
        read_out_of_fold(tmp_path)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(tmp_path: Path, wrong: float) -> None:
    kept = answers()
    kept.logits[1, 2, 0] = wrong
    write_out_of_fold(kept, tmp_path)
    with pytest.raises(TrainingError, match="not all finite"):
        read_out_of_fold(tmp_path)


@pytest.mark.parametrize("kind", ["<U8", "bool", "int64", "complex64"])
def test_logits_of_another_kind_are_refused(tmp_path: Path, kind: str) -> None:
    file = write_out_of_fold(answers(), tmp_path)
    with np.load(file) as saved:
        arrays = dict(saved)
    arrays["logits"] = arrays["logits"].astype(kind)
    with file.open("wb") as opened:
        np.savez_compressed(opened, **arrays)
    with pytest.raises(TrainingError, match="not all finite"):
        read_out_of_fold(file)


def test_array_that_does_not_unpack_is_refused(tmp_path: Path) -> None:
    file = write_out_of_fold(answers(), tmp_path)
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        start = archive.getinfo("logits.npy").header_offset
    name, extra = (
        int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28)
    )
    # Deflate knows no block of this type.
    content[start + 30 + name + extra] = 0xFF
    file.write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be used"):
        read_out_of_fold(file)


def test_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    file = write_out_of_fold(answers(), tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:200])
    with pytest.raises(TrainingError, match="cannot be used"):
        read_out_of_fold(file)
    with zipfile.ZipFile(file, "w") as other:
        other.writestr("a.txt", "text")
    with pytest.raises(TrainingError, match="cannot be used"):
        read_out_of_fold(file)


def test_file_of_pickled_objects_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / FILE_NAME, schema=np.array([{"a": 1}], dtype=object))
    with pytest.raises(TrainingError, match="cannot be used"):
        read_out_of_fold(tmp_path)
