"""`imagedrop train`: the same settings as `python -m training.train`."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from pathlib import Path

import pytest

from imagedrop.commands import train as train_cli
from imagedrop.errors import UserError
from training.settings import TrainSettings


def test_every_setting_is_an_option() -> None:
    parameters = set(inspect.signature(train_cli.train).parameters)

    assert {each.name for each in fields(TrainSettings)} <= parameters


def test_best_hyperparameters_are_read_by_either_spelling(tmp_path: Path) -> None:
    file = tmp_path / "tuning.json"
    file.write_text(json.dumps({"best": {"batch-size": 64, "lr": 0.014}, "trials": []}))

    assert train_cli.read_hyperparameters(file, "resnet50") == {"batch_size": 64, "lr": 0.014}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"best": 3}', '{"best": {"momentum": 1}}'])
def test_file_without_hyperparameters_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "tuning.json"
    file.write_text(content)

    with pytest.raises(UserError):
        train_cli.read_hyperparameters(file, "resnet50")


def test_without_torch_the_next_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_cli, "find_spec", lambda _: None)

    with pytest.raises(UserError, match="torch") as caught:
        train_cli.require_torch()

    assert "make train-setup" in caught.value.next_step
