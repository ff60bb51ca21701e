"""`imagedrop package --groups`: a person's own level above the labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archive.card import read_model_card
from archive.uncertainty import Groups
from imagedrop.errors import UserError
from imagedrop.models.model_files import make_archive
from tests.unit.serving.tiny_model import write_archive

GROUPS = {"red": "warm", "green": "cold", "blue": "cold"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return write_archive(folder)


def given(folder: Path, content: str) -> Path:
    file = folder / "groups.json"
    file.write_text(content, encoding="utf-8")
    return file


def test_groups_of_a_file_are_on_the_card(model: Path, tmp_path: Path) -> None:
    groups = given(tmp_path, json.dumps(GROUPS))
    made = make_archive(model, tmp_path / "model.tar.gz", groups=groups)
    assert made.card.groups == Groups(0.9, GROUPS)
    assert made.card.to_json()["schema"] == 1
    assert read_model_card(model / "model.json").groups is None


def test_an_archive_that_gets_groups_is_packed_again(model: Path, tmp_path: Path) -> None:
    plain = make_archive(model, tmp_path / "plain.tar.gz")
    groups = given(tmp_path, json.dumps(GROUPS))
    grouped = make_archive(plain.path, tmp_path / "grouped.tar.gz", groups=groups)
    assert grouped.card.groups == Groups(0.9, GROUPS)
    again = make_archive(grouped.path, tmp_path / "again.tar.gz", version="4")
    assert again.card.groups == grouped.card.groups


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"owl": "birds"}', "'owl' is not one of the model's labels"),
        ('{"red": 7}', "must be a text"),
        ("{}", "not an object"),
        ('["red"]', "not an object"),
        ("{", "groups.json does not give the groups"),
    ],
)
def test_a_file_of_other_content_is_refused_with_the_next_step(
    model: Path, tmp_path: Path, content: str, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint) as refused:
        make_archive(model, tmp_path / "model.tar.gz", groups=given(tmp_path, content))
    assert "JSON" in refused.value.next_step
