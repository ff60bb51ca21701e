"""The commands, options, make targets and files that the docs name exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bench.sizing_tables import markdown
from imagedrop.cli import app

REPOSITORY = Path(__file__).parents[3]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
CLI: Any = typer.main.get_command(app)


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Every line of a code block, in any page, that starts with this program."""
    for page in PAGES:
        for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.S | re.M):
            for line in block.splitlines():
                typed = line.removeprefix("$ ")
                if typed and Path(typed.split()[0]).name == program:
                    words = shlex.split(typed, comments=True)[1:]
                    yield f"{page.name}: {line}", words[: _end_of_command(words)]


def _end_of_command(words: list[str]) -> int:
    """Returns where the shell's syntax begins: ``report RUN > file``."""
    return next((place for place, word in enumerate(words) if word in (">", "|")), len(words))


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by the words that lead to it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
            if command.invoke_without_command:
                yield (*path, name), command
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(CLI))


def command_of(words: list[str]) -> tuple[str, ...]:
    return next((path for path in COMMANDS if list(path) == words[: len(path)]), ())


@pytest.mark.parametrize(("line", "words"), list(commands("imagedrop")))
def test_a_documented_command_parses(line: str, words: list[str]) -> None:
    path = command_of(words)
    assert path, line
    COMMANDS[path].make_context(path[-1], words[len(path) :], resilient_parsing=False)


def test_every_command_is_documented_with_an_example() -> None:
    documented = {command_of(words) for _, words in commands("imagedrop")}
    assert set(COMMANDS) <= documented | {("demo",)}
    for path, command in COMMANDS.items():
        example = f"Example: imagedrop {' '.join(path)}"
        assert (command.epilog or "").startswith(example), path


@pytest.mark.parametrize(("line", "words"), list(commands("make")))
def test_a_documented_make_target_exists(line: str, words: list[str]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = [word for word in words if "=" not in word]
    assert targets, line
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), line


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_file_that_a_command_names_exists() -> None:
    for line, words in [*commands("sam"), *commands("imagedrop")]:
        for word in words:
            if word.startswith(("events/", "demo/")):
                assert (REPOSITORY / word).exists(), line


def named_tests(text: str) -> list[tuple[str, str]]:
    """The file and the name of each test."""
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)


def test_each_of_the_originals_ten_mistakes_names_a_test_that_keeps_it_out() -> None:
    page = (REPOSITORY / "docs" / "training.md").read_text()
    _, section = page.split("## The original's ten mistakes\n")
    mistakes = re.split(r"^\d+\. ", section, flags=re.M)[1:]
    assert len(mistakes) == 10
    for mistake in mistakes:
        assert named_tests(mistake), mistake


def test_every_test_that_a_page_names_exists() -> None:
    for page in PAGES:
        for file, name in named_tests(page.read_text()):
            source = (REPOSITORY / file).read_text()
            assert re.search(rf"^(?:async )?def {name}\(", source, re.M), f"{page.name}: {name}"


def test_the_sizing_tables_are_what_the_arithmetic_says() -> None:
    page = (REPOSITORY / "docs" / "bulk.md").read_text()
    assert "\n".join(markdown()) in page, "put the output of python -m bench.sizing_tables there"


def test_every_sample_event_has_its_line() -> None:
    named = {word for _, words in commands("sam") for word in words}
    events = {f"events/{path.name}" for path in (REPOSITORY / "events").glob("*.json")}
    assert events <= named
