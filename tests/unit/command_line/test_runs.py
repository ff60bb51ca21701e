"""`imagedrop runs` lists what was written into runs/, and compares two of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.errors import UserError
from imagedrop.training_runs import Kind, read_run, runs_in

EARLY, LATE = "zebras-20261129t130552", "dogs-20261129t131007"


def training(**given: Any) -> dict[str, Any]:
    settings = {"lr": 0.01, "epochs": 20, "output_dir": "here", **given}
    measured = {"epoch": 7, "train_loss": 0.2, "valid_top1": 0.9167, "valid_top5": 1.0}
    return {
        "model": "dogs@1",
        "architecture": "efficientnet_lite0",
        "data_manifest_sha256": "ab" * 32,
        "settings": settings,
        "metrics": {**measured, "valid_loss": 0.2692},
        "train_images": 97,
        "valid_images": 36,
        "ece": 0.0512,
        "seconds": 2.4,
        "code_revision": None,
        "versions": {"torch": "2.14.1"},
    }


def evaluation() -> dict[str, Any]:
    return {
        "model": "dogs@1",
        "data_manifest_sha256": "cd" * 32,
        "measured_on": "26 photos, the part test of parts",
        **{"top1": 0.8846, "top5": 1.0, "macro_f1": 0.84, "log_loss": 0.31, "images": 26},
        "calibration": {"ece_before": 0.0674},
    }


def written(runs: Path, name: str, file: str, content: object) -> Path:
    folder = runs / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(content))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    written(folder, LATE, "training.json", training(lr=0.02, output_dir="there"))
    written(folder, EARLY, "training.json", training())
    written(folder, "evaluation-20261129t131100", "evaluation.json", evaluation())
    written(folder, "dogs-20261129t131200", "failure", "no photos")
    return folder


def said(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["runs", *map(str, arguments)])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_run_has_a_row_the_latest_last(runs: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(said("--folder", runs, "--format", "csv"))))

    assert [row["kind"] for row in rows] == ["training", "training", "evaluation", "failed"]
    assert [row["run"] for row in rows][:2] == [EARLY, LATE]
    assert rows[0]["data"] == "ab" * 32
    assert (rows[0]["top1"], rows[0]["log_loss"], rows[0]["seconds"]) == ("0.9167", "0.2692", "2.4")
    assert [row["ece"] for row in rows] == ["0.0512", "0.0512", "0.0674", ""]


def test_table_shows_names_and_figures(runs: Path) -> None:
    lines = said("--folder", runs).splitlines()

    (row,) = [line for line in lines if line.startswith(EARLY)]
    assert row.split() == [
        EARLY,
        "efficientnet_lite0",
        "abababa",
        "0.9167",
        "0.2692",
        "0.0512",
        "2",
    ]
    assert any(line.split()[:2] == ["dogs-20261129t131200", "failed"] for line in lines)


def test_comparison_shows_the_settings_that_differ_and_all_metrics(runs: Path) -> None:
    rows = [line.split() for line in said("compare", EARLY, LATE, "--folder", runs).splitlines()]

    assert ["lr", "0.01", "0.02"] in rows
    assert ["log_loss", "0.2692", "0.2692"] in rows
    assert ["seconds", "2.4000", "2.4000"] in rows
    assert {row[0] for row in rows if row}.isdisjoint({"epochs", "output_dir", "torch"})


def test_runs_of_two_kinds_are_compared_by_what_they_share(runs: Path) -> None:
    table = said("compare", runs / EARLY, "evaluation-20261129t131100", "--folder", runs)

    assert ["top1", "0.9167", "0.8846"] in [line.split() for line in table.splitlines()]


def test_runs_with_the_same_settings_are_said_to_be(runs: Path) -> None:
    assert "No setting differs" in said("compare", EARLY, EARLY, "--folder", runs)


@pytest.mark.parametrize("name", ["nothing", "dogs-20261129t131200"])
def test_what_has_no_result_cannot_be_compared(name: str, runs: Path) -> None:
    with pytest.raises(UserError, match=name):
        said("compare", EARLY, name, "--folder", runs)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"settings": 3}', "\x00"])
def test_half_written_file_does_not_hide_the_other_runs(content: str, runs: Path) -> None:
    (runs / EARLY / "training.json").write_text(content)

    found = {each.name: each.kind for each in runs_in(runs)}

    assert found[EARLY] is Kind.UNFINISHED
    assert found[LATE] is Kind.TRAINING


def test_search_counts_by_its_objective(tmp_path: Path) -> None:
    trials = [{"seconds": 1.5}, {"seconds": 2.0}]
    found = {"best": {"lr": 0.02}, "value": 0.25, "strategy": "TPE", "trials": trials}
    by_loss = written(
        tmp_path,
        "tuning-1",
        "tuning.json",
        {**found, "lower_is_better": True, "data_manifest_sha256": "ef" * 32},
    )
    by_top1 = written(tmp_path, "tuning-2", "tuning.json", {**found, "value": 0.9})

    assert read_run(by_loss).metrics == {"log_loss": 0.25, "trials": 2}
    assert read_run(by_loss).data == "ef" * 32
    assert read_run(by_top1).metrics["top1"] == 0.9
    assert read_run(by_loss).seconds == 3.5


def test_inspection_has_the_hash_of_its_data(tmp_path: Path) -> None:
    found = {"settings": {}, "findings": [], "data_manifest_sha256": "ef" * 32}
    folder = written(tmp_path, "inspection-1", "inspection.json", found)
    assert read_run(folder).data == "ef" * 32


def test_without_runs_the_next_step_is_told(tmp_path: Path) -> None:
    assert "imagedrop train" in said("--folder", tmp_path / "runs")
