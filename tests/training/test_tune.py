"""A search proposes, compares, resumes, and writes hyperparameters for a training."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from imagedrop.commands.train import read_hyperparameters
from tests.text_boxes import unreadable_texts
from training.errors import TrainingError
from training.prepared import Prepared
from training.reports.tuning import importance, tuning_page
from training.search import SearchSpace, TrialResult, Tuning
from training.settings import TrainSettings
from training.train import fit
from training.tune import Reporter, database, tune
from training.watch.observer import StopTraining

from .conftest import Configure

SMALL = SearchSpace(lr=(0.001, 0.1), batch_sizes=(4, 8), epochs=(1, 2))


def search(settings: TrainSettings, trials: int, space: SearchSpace = SMALL) -> Tuning:
    return tune(settings, space, trials, parallel=1, on_trial=lambda: None)


def test_the_default_space_is_that_of_the_original_project() -> None:
    assert asdict(SearchSpace()) == {
        "lr": (0.001, 0.1),
        "batch_sizes": (16, 32, 64),
        "epochs": (2, 6),
    }


def test_every_trial_stays_within_the_space_and_the_best_is_the_best(
    configure: Configure,
) -> None:
    told: list[None] = []
    settings = configure()
    found = tune(settings, SMALL, 6, parallel=1, on_trial=lambda: told.append(None))
    assert len(found.trials) == len(told) == 6
    for each in found.trials:
        assert 0.001 <= each.hyperparameters["lr"] <= 0.1
        assert each.hyperparameters["batch_size"] in (4, 8)
        assert each.hyperparameters["epochs"] in (1, 2)
        assert each.value is not None
        assert len(each.intermediate) <= each.hyperparameters["epochs"]
    complete = [each for each in found.trials if each.status == "complete"]
    best = max(complete, key=lambda each: each.value or 0)
    assert found.value == best.value
    assert found.best in [each.hyperparameters for each in complete if each.value == best.value]


def test_an_interrupted_search_goes_on_and_repeats_nothing(configure: Configure) -> None:
    settings = configure()
    first = search(settings, 3)
    again = search(settings, 5)
    assert again.trials[:3] == first.trials
    assert len(again.trials) == 5
    assert search(settings, 5) == again


def test_a_search_over_another_space_is_refused(configure: Configure) -> None:
    settings = configure()
    search(settings, 1)
    with pytest.raises(TrainingError, match="another space"):
        search(settings, 2, replace(SMALL, epochs=(1, 3)))
    assert database(settings.output_dir).exists()


def test_file_that_is_no_database_is_told(configure: Configure) -> None:
    settings = configure()
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    database(settings.output_dir).write_bytes(b"not a database" * 100)
    with pytest.raises(TrainingError, match=r"trials\.sqlite3 cannot be read or written: file is"):
        search(settings, 1)


class HopelessAfterTwo:
    """A trial that the search gives up after two epochs."""

    def __init__(self) -> None:
        self.reported: list[tuple[float, int]] = []

    def report(self, value: float, step: int) -> None:
        self.reported.append((value, step))

    def should_prune(self) -> bool:
        return len(self.reported) == 2


def test_a_hopeless_trial_is_ended_early(configure: Configure, prepared: Prepared) -> None:
    trial = HopelessAfterTwo()
    with pytest.raises(StopTraining):
        fit(prepared, configure(epochs=9), [Reporter(trial)])  # type: ignore[arg-type]
    assert [step for _, step in trial.reported] == [1, 2]


def test_what_it_finds_can_be_given_to_a_training(configure: Configure, tmp_path: Path) -> None:
    found = search(configure(), 2)
    file = tmp_path / "tuning.json"
    file.write_text(json.dumps(found.to_json()))
    assert read_hyperparameters(file) == found.best
    assert TrainSettings(data=tmp_path, **found.best).batch_size == found.best["batch_size"]


@pytest.mark.parametrize(
    "wrong",
    [{"lr": (0.1, 0.001)}, {"lr": (0.0, 0.1)}, {"epochs": (3, 2)}, {"batch_sizes": ()}],
)
def test_a_space_of_nothing_is_refused(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(TrainingError):
        SearchSpace(**wrong)  # type: ignore[arg-type]


def trial(number: int, lr: float, batch_size: int, value: float) -> TrialResult:
    hyperparameters = {"lr": lr, "batch_size": batch_size}
    return TrialResult(number, hyperparameters, value, "complete", 1.0, (value,))


def test_importance_is_the_share_of_the_spread_that_goes_with_a_hyperparameter() -> None:
    # The batch size decides everything, the learning rate nothing.
    trials = [trial(n, 0.01 * (1 + n // 2), (16, 32)[n % 2], (0.5, 0.9)[n % 2]) for n in range(8)]
    assert importance(trials, ("lr", "batch_size")) == pytest.approx(
        {"learning rate": 0.0, "batch size": 1.0}
    )


def test_the_page_tells_the_best_and_every_trial() -> None:
    trials = (trial(0, 0.01, 16, 0.5), trial(1, 0.02, 32, 0.75))
    found = Tuning(trials[1].hyperparameters, 0.75, "valid_top1", "<TPE>", {}, trials)
    page = tuning_page(found)
    assert "learning rate 0.02, batch size 32" in page
    assert "&lt;TPE&gt;" in page
    assert page.count("complete") == 2
    assert unreadable_texts(page) == []
