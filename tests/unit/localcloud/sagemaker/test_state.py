"""The saved state is read back unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcloud.sagemaker.state import Identity, State, StateInUseError


def test_saved_tables_are_read_again(tmp_path: Path) -> None:
    state = State(tmp_path, Identity())
    state.models["dogs"] = {"ModelName": "dogs", "CreationTime": 1.5}
    state.save()
    state.close()
    again = State(tmp_path, Identity())
    assert again.models == {"dogs": {"ModelName": "dogs", "CreationTime": 1.5}}
    again.close()


def test_failed_save_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    state = State(tmp_path, Identity())
    state.models["dogs"] = {"ModelName": "dogs"}
    state.save()
    state.models["cats"] = {"ModelName": object()}
    with pytest.raises(TypeError):
        state.save()
    assert list(json.loads((tmp_path / "state.json").read_text())["models"]) == ["dogs"]
    state.close()


def test_folder_belongs_to_one_stand_in_at_a_time(tmp_path: Path) -> None:
    first = State(tmp_path, Identity())
    with pytest.raises(StateInUseError):
        State(tmp_path, Identity())
    first.close()
    State(tmp_path, Identity()).close()
