"""Every photo of a model's training is recognised, by its bytes or by its looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.package import LEARNED_PHOTOS_NAME
from training.data.learned_photos import (
    Acquaintance,
    LearnedPhoto,
    acquaintances,
    learned_text,
    read_learned,
)
from training.errors import TrainingError

FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
LOOKS = 0x0123_4567_89AB_CDEF


def learned() -> tuple[LearnedPhoto, ...]:
    return (
        LearnedPhoto.of(FIRST, LOOKS, "train"),
        LearnedPhoto.of(SECOND, None, "valid"),
    )


def test_list_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / LEARNED_PHOTOS_NAME).write_bytes(learned_text(learned()))
    found = read_learned(tmp_path)
    assert found is not None
    assert set(found) == set(learned())
    assert learned_text(reversed(learned())) == learned_text(learned())


def test_model_without_a_list_has_none(tmp_path: Path) -> None:
    assert read_learned(tmp_path) is None


@pytest.mark.parametrize("line", ["x", f"{'a' * 16} - test", f"{'A' * 16} - train", "", "\udcff"])
def test_line_that_is_no_photo_is_refused(tmp_path: Path, line: str) -> None:
    content = learned_text(learned()) + line.encode(errors="surrogateescape") + b"\n"
    (tmp_path / LEARNED_PHOTOS_NAME).write_bytes(content)
    with pytest.raises(TrainingError, match="line that is no photo"):
        read_learned(tmp_path)


def test_photos_are_known_by_bytes_else_by_looks_else_not_at_all() -> None:
    near, far = LOOKS ^ 0b111111, LOOKS ^ 0b1111111
    found = acquaintances(
        (FIRST, SECOND, THIRD, THIRD, THIRD, THIRD),
        (None, LOOKS, near, far, LOOKS, None),
        learned(),
    )
    assert found == (
        Acquaintance("train", is_same_file=True),
        Acquaintance("valid", is_same_file=True),
        Acquaintance("train", is_same_file=False),
        None,
        Acquaintance("train", is_same_file=False),
        None,
    )


def test_photo_that_was_learnt_and_chose_the_epoch_was_learnt() -> None:
    both = (LearnedPhoto.of(FIRST, 7, "train"), LearnedPhoto.of(FIRST, 7, "valid"))
    for order in (both, both[::-1]):
        found = acquaintances((FIRST, SECOND, SECOND), (None, 7, 6), order)
        assert [each.use for each in found if each] == ["train", "train", "train"]
