"""No run writes where an earlier one has written."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from training.settings import TrainSettings
from training.tracking.run_folders import new_run_folder, run_folder, with_run_folder

MOMENT = datetime(2026, 11, 29, 13, 5, 52, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_folder_has_the_name_and_the_time() -> None:
    assert new_run_folder("dogs", MOMENT) == Path("runs/dogs-20261129t130552")


def test_runs_of_the_same_second_have_folders_of_their_own() -> None:
    folders = [new_run_folder("dogs", MOMENT) for _ in range(3)]

    assert len(set(folders)) == 3
    assert all(each.is_dir() for each in folders)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "/abs", "..", " ", "\x1b[2J"])
def test_name_cannot_lead_out_of_the_folder_of_runs(name: str) -> None:
    assert new_run_folder(name, MOMENT).resolve().parent == Path("runs").resolve()


def test_training_gets_a_folder_for_records_and_in_it_the_model() -> None:
    settings = with_run_folder(TrainSettings(data=Path("photos"), name="dogs"))

    assert settings.output_dir.parent == Path("runs")
    assert settings.output_dir.name.startswith("dogs-")
    assert settings.model_dir == settings.output_dir / "model"


def test_folders_that_are_given_stay_as_they_are() -> None:
    given = TrainSettings(data=Path("photos"), model_dir=Path("here"), output_dir=Path("there"))

    assert with_run_folder(given) is given
    assert not Path("runs").exists()


def interrupted(*written: str) -> Path:
    """The folder of a run that wrote these files until Ctrl-C."""
    with suppress(KeyboardInterrupt), run_folder(None, "tuning") as folder:
        for name in written:
            (folder / name).touch()
        raise KeyboardInterrupt
    return folder


def test_run_that_wrote_nothing_leaves_no_folder() -> None:
    assert not interrupted().exists()


def test_run_that_was_interrupted_keeps_what_it_wrote() -> None:
    assert (interrupted("trials.sqlite3") / "trials.sqlite3").exists()
