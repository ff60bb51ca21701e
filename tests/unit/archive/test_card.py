"""The promises of a `model.json` to its readers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from archive.card import MAX_CARD_BYTES, ArchiveError, ModelCard, read_model_card
from archive.names import display_name, labels_named
from archive.uncertainty import Groups, Unknown

UNKNOWN = {"label": "unknown_bird", "rivals": 19, "lowest_leads": [1.5, 7.5], "photos": 30}


def test_card_survives_a_round_trip(card: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(card.to_json()))

    assert read_model_card(path) == card


def test_card_without_a_gate_survives_a_round_trip(card: ModelCard) -> None:
    ungated = dataclasses.replace(card, gate=None)

    assert ModelCard.from_json(json.loads(json.dumps(ungated.to_json()))) == ungated


def test_identity_is_name_at_version(card: ModelCard) -> None:
    assert card.identity == "birds@7"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("schema", 3, "schema"),
        ("schema", True, "schema"),
        ("name", "", "name"),
        ("name", "birds@home", "name"),
        ("version", 7, "version"),
        ("labels", "robin", "labels"),
        ("labels", [], "labels"),
        ("labels", ["robin"], "labels"),
        ("labels", ["robin", "robin"], "labels"),
        ("labels", ["robin", ""], "labels"),
        ("image_spec", None, "image_spec"),
        ("image_spec", {"size": 224}, "image spec"),
        ("gate", "not_a_bird", "gate"),
        ("gate", {"label": "not_a_bird"}, "gate"),
        ("gate", {"label": "not_a_bird", "minimum": 1.5}, "gate"),
        ("gate", {"label": "not_a_bird", "minimum": float("nan")}, "gate"),
        ("gate", {"label": "not_a_bird", "minimum": True}, "gate"),
        ("gate", {"label": "not_a_bird", "minimum": 0.5, "maximum": 0.9}, "gate"),
        ("gate", {"label": "wren", "minimum": 0.5}, "wren"),
        ("unknown", None, "unknown"),
        ("unknown", {"label": "unknown_bird", "rivals": 3}, "photos"),
        ("unknown", UNKNOWN | {"lowest_leads": []}, "leads"),
        ("unknown", UNKNOWN | {"lowest_leads": [3.0, 2.0]}, "ascending"),
        ("unknown", UNKNOWN | {"lowest_leads": [float("nan")]}, "ascending"),
        ("unknown", UNKNOWN | {"lowest_leads": [True]}, "ascending"),
        ("unknown", UNKNOWN | {"photos": 1}, "photos"),
        ("unknown", UNKNOWN | {"rivals": 0}, "rivals"),
        ("unknown", UNKNOWN | {"rivals": True}, "rivals"),
        ("unknown", UNKNOWN | {"label": "robin"}, "robin"),
        ("groups", {"minimum": 0.9}, "groups"),
        ("groups", {"minimum": 0, "of": {"wren": "songbirds"}}, "minimum"),
        ("groups", {"minimum": 0.9, "of": {"owl": "raptors"}}, "owl"),
        ("groups", {"minimum": 0.9, "of": {"wren": 7}}, "wren"),
        ("names", ["robin"], "names"),
        ("names", {"owl": ["Owl"]}, "owl"),
        ("names", {"wren": "Wren"}, "wren"),
        ("metrics", None, "metrics"),
        ("training_run", [], "training_run"),
        ("weights_sha256", "ABC", "weights_sha256"),
    ],
)
def test_malformed_card_is_refused_with_the_field_s_name(
    card: ModelCard, field: str, value: Any, complaint: str
) -> None:
    with pytest.raises(ArchiveError, match=complaint):
        ModelCard.from_json(card.to_json() | {field: value})


def test_card_with_a_missing_field_is_refused(card: ModelCard) -> None:
    value = card.to_json()
    del value["labels"]

    with pytest.raises(ArchiveError, match="labels"):
        ModelCard.from_json(value)


def test_a_field_that_a_later_version_adds_is_kept_and_changes_nothing(card: ModelCard) -> None:
    later = card.to_json() | {"habitat": "woods", "sizes": {"wren": "small"}}

    read = ModelCard.from_json(later)

    assert read.to_json() == later
    assert dataclasses.replace(read, other_fields={}) == card


def test_a_card_of_a_later_schema_is_refused_because_its_answers_may_be_others(
    card: ModelCard,
) -> None:
    with pytest.raises(ArchiveError, match="schema 3, 1 and 2 can be read"):
        ModelCard.from_json(card.to_json() | {"schema": 3, "answers_twice_below": 0.4})


def test_rules_groups_and_names_survive_a_round_trip(card: ModelCard) -> None:
    whole = dataclasses.replace(
        card,
        unknown=Unknown.from_json(UNKNOWN),
        groups=Groups(0.9, {"robin": "songbirds", "wren": "songbirds"}),
        names={"wren": ("Eurasian wren", "jenny wren")},
    )

    assert ModelCard.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    assert whole.answers == ("robin", "wren", "unknown_bird", "not_a_bird")


def test_only_a_rule_that_changes_answers_keeps_older_readers_away(card: ModelCard) -> None:
    described = dataclasses.replace(
        card, groups=Groups(0.9, {"wren": "songbirds"}), names={"wren": ("Wren",)}
    )
    abstaining = dataclasses.replace(card, unknown=Unknown.from_json(UNKNOWN))

    assert described.to_json()["schema"] == card.to_json()["schema"] == 1
    assert abstaining.to_json()["schema"] == 2


@pytest.mark.parametrize("name", ["wren", "WREN", "Jenny Wren", "jenny-wren", "  jenny__wren "])
def test_a_label_is_found_by_any_of_its_names(name: str) -> None:
    labels = ("robin", "wren")
    names = {"wren": ("Eurasian wren", "jenny wren"), "robin": ("redbreast",)}

    assert labels_named(name, labels, names) == ["wren"]
    assert labels_named("owl", labels, names) == []


def test_the_name_to_show_is_the_first_or_the_label_itself() -> None:
    assert display_name("wren", {"wren": ("Eurasian wren", "jenny wren")}) == "Eurasian wren"
    assert display_name("robin", {"wren": ("Eurasian wren",)}) == "robin"


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b"null"])
def test_what_is_not_a_card_is_refused(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(text)

    with pytest.raises(ArchiveError):
        read_model_card(path)


def test_endless_card_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b" " * (MAX_CARD_BYTES + 1))

    with pytest.raises(ArchiveError, match="larger"):
        read_model_card(path)
