"""Names that look the same are tried in every form, few enough, and can be distinguished."""

from __future__ import annotations

import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagedrop.unicode_forms import MAX_SPELLINGS, is_same_name, shell_text, spellings

NAMES = st.text(st.characters(codec="utf-8"), max_size=30)


@given(NAMES)
def test_the_typed_form_is_first_and_both_forms_follow(name: str) -> None:
    found = spellings(name)
    assert found[0] == name
    assert {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} <= set(found)
    assert len(found) == len(set(found)) <= MAX_SPELLINGS
    assert all(is_same_name(each, name) for each in found)


def test_a_folder_in_one_form_and_a_file_in_the_other_is_tried() -> None:
    assert "\u00e9/e\u0301" in spellings("\u00e9/\u00e9")


def test_a_name_in_ascii_has_one_form() -> None:
    assert spellings("incoming/a b+c.jpg") == ["incoming/a b+c.jpg"]


def test_a_path_of_many_folders_with_accents_is_not_tried_for_ever() -> None:
    assert len(spellings("/".join("é" * 300))) == MAX_SPELLINGS


@pytest.mark.parametrize(
    "name", ["Café.jpg", "Cafe\u0301.jpg", 'it\'s \\ a\t"$HOME" `b`.jpg', "🐶 12\u00e92.jpg"]
)
def test_bash_reads_the_printed_name_as_it_is(name: str) -> None:
    printed = subprocess.run(
        ["/bin/bash", "-c", f"printf %s {shell_text(name)}"],
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert printed.stdout.decode() == name
