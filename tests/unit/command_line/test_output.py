"""One way to print: data and messages are separate, and text from strangers stays text."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from rich.table import Column
from typer.testing import CliRunner

import imagedrop
from imagedrop import output
from imagedrop.cli import app
from imagedrop.output import Format, JsonObject, Layout, exit_on_interrupt, print_items, say

HOSTILE = "[red]a[/]\x1b[31m:dog:\n.jpg"
SHOWN = "[red]a[/]\\x1b[31m:dog:\\x0a.jpg"


def layout() -> Layout:
    return Layout(
        fields=("key", "labels"),
        columns=[Column("key", no_wrap=True), Column("first")],
        cells=lambda item: [(item["key"], item["labels"][0])],
        to_csv=lambda item: item | {"labels": " ".join(item["labels"])},
    )


ITEMS: list[JsonObject] = [{"key": HOSTILE, "labels": ["pug", "akita"], "size": 1}]


def test_a_table_shows_markup_and_control_characters_as_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert print_items(ITEMS, Format.TABLE, layout()) == 1
    said = capsys.readouterr()
    assert SHOWN in said.out
    assert said.err == ""


def test_a_line_to_people_is_one_line_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(f"No row yet: {HOSTILE} {'long ' * 100}")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert SHOWN in said.err


def test_json_lines_and_csv_hold_the_data_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_items(ITEMS, Format.JSONL, layout())
    assert json.loads(capsys.readouterr().out) == ITEMS[0]
    print_items(ITEMS, Format.CSV, layout())
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows == [{"key": HOSTILE, "labels": "pug akita"}]


def test_json_lines_are_printed_as_the_items_come(capsys: pytest.CaptureFixture[str]) -> None:
    def items() -> Iterator[JsonObject]:
        yield ITEMS[0]
        assert json.loads(capsys.readouterr().out) == ITEMS[0]

    assert print_items(items(), Format.JSONL, layout()) == 1


def test_ctrl_c_says_what_goes_on_and_ends_with_the_shells_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, exit_on_interrupt("The run continues."):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "The run continues.\n"


def test_no_command_prints_to_people_in_another_way() -> None:
    folder = Path(imagedrop.__path__[0])
    others = [each for each in folder.rglob("*.py") if each != Path(output.__file__)]
    assert len(others) > 30
    for each in others:
        content = each.read_text()
        for way in ("console.print(", "rich.markup", "rich.console", "csv.", "128 + SIGINT"):
            assert way not in content, f"{each} uses {way}"


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(imagedrop.__path__[0]).parent / "pyproject.toml").read_text())
    printed = CliRunner().invoke(app, ["--version"]).output
    assert printed.strip() == project["project"]["version"]
