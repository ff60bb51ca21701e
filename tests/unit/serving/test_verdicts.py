"""Which label an answer has, and whether it names a group: the rules of the card, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.serving.test_endpoint import BLACK, NPY, RED, invoke, npy
from tests.unit.serving.tiny_model import LABELS, write_archive

GREY, DARK = (120, 120, 118), (70, 69, 69)
UNKNOWN = {"label": "unknown_colour", "rivals": 2, "lowest_leads": [0.5, 1.0], "photos": 39}
GROUPS = {
    "minimum": 0.95,
    "of": dict.fromkeys(("red", "green", "blue"), "colours") | {"white": "no_colours"},
}


def test_a_label_that_hardly_leads_is_called_unknown_with_the_five_nearest(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, schema=2, unknown=UNKNOWN)
    grey, red = invoke(archive, NPY, npy(GREY, RED)).json()
    assert grey["label"] == "unknown_colour"
    assert len(grey["predictions"]) == 5
    assert grey["confidence"] == pytest.approx(1 - 1 / 40)  # no known photo leads by so little
    assert red["label"] == "red"


def test_an_answer_has_the_group_that_the_model_is_sure_of(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, schema=2, unknown=UNKNOWN, groups=GROUPS)
    grey, red, dark = invoke(archive, NPY, npy(GREY, RED, DARK)).json()
    assert (grey["label"], grey["group"]) == ("unknown_colour", "colours")
    assert (red["label"], red["group"]) == ("red", "colours")
    assert dark["label"] == "unknown_colour"
    assert "group" not in dark


def test_the_gate_comes_before_every_other_rule(tmp_path: Path) -> None:
    everything = {"minimum": 0.1, "of": dict.fromkeys(LABELS, "everything")}
    archive = write_archive(tmp_path, schema=2, unknown=UNKNOWN, groups=everything)
    (black,) = invoke(archive, NPY, npy(BLACK)).json()
    assert black["label"] == "not_a_colour"
    assert "group" not in black


def test_a_card_of_schema_1_answers_as_before(archive: Path) -> None:
    grey, red = invoke(archive, NPY, npy(GREY, RED)).json()
    assert (grey["label"], red["label"]) == ("red", "red")
    assert "group" not in red
