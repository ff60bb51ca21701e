"""A search proposes, compares, resumes, and writes hyperparameters for a training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagedrop.commands.train import read_hyperparameters
from imagedrop.errors import UserError
from tests.text_boxes import unreadable_texts
from training.data.partition import Partition
from training.errors import TrainingError
from training.loop.checkpoint import Checkpoint
from training.loop.fitting import fit_once
from training.loop.prepared import Prepared, prepare
from training.reports.tuning import importance, tuning_page
from training.settings import TrainSettings, declared_settings
from training.statistics.out_of_fold import cross_entropy
from training.tuning import judging
from training.tuning.judging import logits_of, truth_of, verdict_of
from training.tuning.search import (
    AROUND_DEFAULTS,
    SearchSpace,
    TrialResult,
    Tuning,
    Verdict,
    out_of_reach,
)
from training.tuning.tune import FOLDS, database, photos_of, tune

from .conftest import COLOURS, Configure

SMALL = SearchSpace(lr=(0.001, 0.1), batch_sizes=(4, 8), epochs=(1, 2))


def search(settings: TrainSettings, trials: int, space: SearchSpace = SMALL) -> Tuning:
    return tune(prepare(settings), settings, space, trials, parallel=1, on_trial=lambda: None)


def test_a_tuning_jobs_space_is_that_of_the_original_project() -> None:
    assert SearchSpace().searched == {
        "lr": (0.001, 0.1),
        "batch_size": (16, 32, 64),
        "epochs": (2, 6),
    }


def test_the_defaults_of_a_training_lie_within_what_tune_searches() -> None:
    defaults = {name: setting.default for name, setting in declared_settings().items()}
    assert AROUND_DEFAULTS.holds(defaults)
    low, high = AROUND_DEFAULTS.epochs
    assert low < defaults["epochs"] < high
    assert not SearchSpace().holds(defaults)


def test_a_trial_has_the_same_loss_whatever_runs_beside_it(configure: Configure) -> None:
    settings = configure(epochs=4, batch_size=4)
    space = SearchSpace(lr=(0.001, 0.1), batch_sizes=(4, 8), epochs=(3, 6))
    found = tune(prepare(settings), settings, space, 8, parallel=4, on_trial=lambda: None)

    alone = replace(settings, folds=FOLDS, patience=0)
    prepared = prepare(alone)
    folds = photos_of(prepared, alone).folds
    complete = [each for each in found.trials if each.status == "complete"]
    assert len(complete) > 2
    for each in complete:
        chosen = replace(alone, **each.hyperparameters)
        losses = [
            cross_entropy(logits_of(prepared, chosen, parts), truth_of(prepared, parts))
            for parts in folds
        ]
        assert float(np.concatenate(losses).mean()) == each.value


def test_the_defaults_are_the_first_trial_and_the_best_is_the_lowest_loss(
    configure: Configure,
) -> None:
    told: list[None] = []
    settings = configure(epochs=2, batch_size=4)
    prepared = prepare(settings)
    found = tune(prepared, settings, SMALL, 6, parallel=1, on_trial=lambda: told.append(None))
    assert len(found.trials) == len(told) == 6
    assert found.trials[0].hyperparameters == {"lr": 0.01, "batch_size": 4, "epochs": 2}
    assert found.trials[0].status == "complete"
    for each in found.trials:
        assert 0.001 <= each.hyperparameters["lr"] <= 0.1
        assert each.hyperparameters["batch_size"] in (4, 8)
        assert each.hyperparameters["epochs"] in (1, 2)
        assert each.value is not None
        assert len(each.intermediate) <= FOLDS
    complete = [each for each in found.trials if each.status == "complete"]
    best = min(complete, key=lambda each: each.value or 0)
    assert found.verdict is not None
    assert found.verdict.winner == best.hyperparameters
    chosen = best if found.verdict.is_better else found.trials[0]
    assert (found.best, found.value) == (chosen.hyperparameters, chosen.value)


def test_a_hopeless_trial_is_ended_at_its_second_fold(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first five trials are the measure, and the first fold alone may mislead."""
    asked: list[Partition] = []

    def answered(prepared: Prepared, _: TrainSettings, parts: Partition) -> object:
        asked.append(parts)
        of_seventh = len(asked) > 6 * FOLDS
        truth = np.eye(len(COLOURS), dtype=np.float32)[truth_of(prepared, parts)]
        return -truth if of_seventh else truth

    monkeypatch.setattr("training.tuning.tune.logits_of", answered)
    found = search(configure(epochs=1, batch_size=4), 7)

    assert [each.status for each in found.trials] == ["complete"] * 6 + ["pruned"]
    assert [len(each.intermediate) for each in found.trials] == [FOLDS] * 6 + [2]
    assert len(asked) == 6 * FOLDS + 2
    assert found.best == found.trials[0].hyperparameters


def test_defaults_outside_the_space_are_tried_all_the_same(configure: Configure) -> None:
    found = search(configure(epochs=3), 2)
    assert [each.hyperparameters["epochs"] <= 2 for each in found.trials] == [False, True]


def test_the_objective_is_the_log_loss_of_every_photo_of_the_search_out_of_fold(
    configure: Configure, prepared: Prepared
) -> None:
    settings = configure(epochs=2, batch_size=4)
    found = search(settings, 1)
    photos = photos_of(prepared, settings)
    assert sorted(row for fold in photos.folds for row in fold.valid) == sorted(photos.judged.train)
    # One training by hand for each fold, at its last epoch.
    by_hand = [
        fit_once(prepared, replace(settings, folds=4), fold, (), Checkpoint(None, ""))
        for fold in photos.folds
    ]
    losses = [each.state.history[-1].valid_loss or 0 for each in by_hand]
    expected = np.average(losses, weights=[len(fold.valid) for fold in photos.folds])
    assert found.value == pytest.approx(expected, rel=1e-5)


def test_no_trial_sees_the_photos_that_judge_the_best(
    configure: Configure, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []

    def fitted(
        prepared: Prepared, settings: TrainSettings, parts: Partition, *rest: object
    ) -> object:
        seen.append({*parts.train, *parts.valid})
        return fit_once(prepared, settings, parts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(judging, "fit_once", fitted)
    settings = configure(epochs=1, batch_size=4)
    search(settings, 3)
    judged = photos_of(prepared, settings).judged
    of_search = [rows for rows in seen if not rows & set(judged.valid)]
    assert len(of_search) >= 3 * 2
    # After the search only the best and the defaults are trained, for each seed.
    assert len(seen) - len(of_search) in (judging.SEEDS, 2 * judging.SEEDS)
    assert not any(rows & set(judged.valid) for rows in seen[: len(of_search)])


def test_copies_of_the_searchs_photos_do_not_judge_the_best(
    configure: Configure, prepared: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    """A data set's own part `valid`: every third photo, two of which are in `train` too."""
    images = tuple(
        replace(image, split="train" if place % 3 else "valid")
        for place, image in enumerate(prepared.images)
    )
    alike = list(prepared.first_alike)
    alike[6], alike[9] = alike[1], alike[2]
    parted = replace(prepared, images=images, first_alike=tuple(alike))

    photos = photos_of(parted, configure())

    own = [place for place in range(len(images)) if place % 3 == 0]
    assert photos.judged.valid == tuple(place for place in own if place not in (6, 9))
    assert len(photos.judged.train) == len(images) - len(own)
    assert "2 of 10 validation photos look the same as training photos" in caplog.text


class Losses:
    """Stands in for two trainings: what each answers to the unseen photos."""

    def __init__(self, by_rate: dict[float, list[list[float]]]) -> None:
        self._by_rate = by_rate

    def __call__(self, prepared: object, settings: TrainSettings, parts: object) -> object:
        return np.array(self._by_rate[settings.lr], np.float32)


def judged_by(
    monkeypatch: pytest.MonkeyPatch, configure: Configure, own: float, seen: float
) -> Verdict:
    """The verdict where the winner's logit of the truth is `own` and the defaults' is 1."""
    winner = [[own, 0.0]] * 20
    monkeypatch.setattr(judging, "logits_of", Losses({0.02: winner, 0.01: [[1.0, 0.0]] * 20}))
    monkeypatch.setattr(judging, "truth_of", lambda *_: np.zeros(20, np.int64))
    return verdict_of(
        None,  # type: ignore[arg-type]
        configure(lr=0.02),
        configure(lr=0.01),
        Partition((0,), tuple(range(1, 21))),
        {"lr": 0.02},
        np.full(40, seen),
    )


@pytest.mark.parametrize(
    ("own", "seen", "is_better"),
    [
        (2.0, -0.1, True),
        (0.5, -0.1, False),  # the search liked it, the unseen photos do not
        (2.0, 0.1, True),  # on the unseen photos it is better beyond chance
        (1.0, -0.1, False),
    ],
)
def test_best_trial_counts_only_if_unseen_photos_confirm_it(
    monkeypatch: pytest.MonkeyPatch,
    configure: Configure,
    own: float,
    seen: float,
    is_better: bool,
) -> None:
    verdict = judged_by(monkeypatch, configure, own, seen)
    assert verdict.is_better == is_better
    assert verdict.photos == 20
    assert verdict.sentence.startswith("Better than" if is_better else "Not better than")
    assert verdict.interval[0] == pytest.approx(verdict.difference)


def test_lower_loss_on_the_unseen_photos_by_chance_alone_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, configure: Configure
) -> None:
    """Eleven photos are better, nine about as much worse."""
    winner = [[3.0, 0.0]] * 11 + [[0.27, 0.0]] * 9
    defaults = [[1.0, 0.0]] * 20
    monkeypatch.setattr(judging, "logits_of", Losses({0.02: winner, 0.01: defaults}))
    monkeypatch.setattr(judging, "truth_of", lambda *_: np.zeros(20, np.int64))
    by_search = {
        seen: verdict_of(
            None,  # type: ignore[arg-type]
            configure(lr=0.02),
            configure(lr=0.01),
            Partition((0,), tuple(range(1, 21))),
            {"lr": 0.02},
            np.full(40, seen),
        )
        for seen in (-0.1, 0.1)
    }
    for verdict in by_search.values():
        assert verdict.interval[0] < 0 < verdict.interval[1]
    assert not by_search[0.1].is_better
    assert by_search[-0.1].is_better
    assert "though not beyond chance" in by_search[-0.1].sentence


def test_trials_that_differ_from_the_best_by_chance_alone_are_named() -> None:
    trials = tuple(trial(n, 0.01, 16, 0.5) for n in range(3))
    found = Tuning(trials[0].hyperparameters, 0.5, "loss", "TPE", {}, trials, ties=(1, 2))
    assert "Chance alone may tell the best trial from: 2, 3." in tuning_page(found)


def test_a_tuning_jobs_report_says_what_it_cannot_reach() -> None:
    told = " ".join(out_of_reach(SearchSpace()))
    assert "The default epochs, 20, is outside 2 to 6" in told
    assert "Not searched: weight decay, label smoothing" in told
    assert "outside" not in " ".join(out_of_reach(AROUND_DEFAULTS))


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


def test_what_it_finds_can_be_given_to_a_training(configure: Configure, tmp_path: Path) -> None:
    found = search(configure(), 2)
    file = tmp_path / "tuning.json"
    file.write_text(json.dumps(found.to_json(), allow_nan=False))
    assert read_hyperparameters(file, "efficientnet_lite0") == found.best
    with pytest.raises(UserError, match="searched with efficientnet_lite0"):
        read_hyperparameters(file, "resnet50")
    assert TrainSettings(data=tmp_path, **found.best).batch_size == found.best["batch_size"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": (0.1, 0.001)},
        {"lr": (0.0, 0.1)},
        {"epochs": (3, 2)},
        {"batch_sizes": ()},
        {"weight_decay": (0.0, 0.1)},
        {"label_smoothing": (0.1, 1.0)},
    ],
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
