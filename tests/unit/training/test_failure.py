"""A training that fails leaves one readable file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.tracking import failure
from training.watch.observer import StopTraining


def test_mistake_of_the_user_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), failure.recorded(tmp_path, {}):
        raise TrainingError("There is no data.", "Give --data.")

    assert (tmp_path / "failure").read_text() == "There is no data. Give --data.\n"


def test_bug_is_named_with_its_class_and_passes_on(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), failure.recorded(tmp_path / "new", {}):
        _ = 1 / 0

    assert (tmp_path / "new" / "failure").read_text() == "ZeroDivisionError: division by zero\n"


def test_job_has_its_failure_where_sagemaker_reads_it(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="full"),
        failure.recorded(None, {"SM_OUTPUT_DIR": str(tmp_path)}),
    ):
        raise OSError("disk full")

    assert (tmp_path / "failure").read_text() == "OSError: disk full\n"


def test_reason_fits_into_the_field_that_shows_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), failure.recorded(tmp_path, {}):
        raise ValueError("x" * 5000)

    assert len((tmp_path / "failure").read_text().strip()) == 1024


def test_training_that_was_stopped_has_not_failed(tmp_path: Path) -> None:
    with pytest.raises(StopTraining), failure.recorded(tmp_path, {}):
        raise StopTraining

    assert not (tmp_path / "failure").exists()


def fail_twice(folder: Path) -> None:
    """Another process fails, and then the first, because that one is gone."""
    with failure.recorded(folder, {}):
        with suppress(TrainingError), failure.recorded(folder, {}, keeps_earlier=True):
            raise TrainingError("A photo is damaged.", "Repair it.")
        raise OSError("connection closed by peer")


def test_first_of_several_processes_to_fail_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="closed"):
        fail_twice(tmp_path)

    assert (tmp_path / "failure").read_text() == "A photo is damaged. Repair it.\n"


def test_failure_of_an_earlier_training_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "failure").write_text("long ago")

    with failure.recorded(tmp_path, {}):
        pass

    assert not (tmp_path / "failure").exists()
