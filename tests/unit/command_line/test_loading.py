"""A typed command imports its own file, which takes a fraction of the time of all."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from imagedrop import cli

COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def test_each_command_is_in_the_file_that_its_name_leads_to() -> None:
    assert set(cli.FILES) == set(COMMANDS)
    for name, command in COMMANDS.items():
        functions = [command.callback] if command.callback else []
        functions += [each.callback for each in getattr(command, "commands", {}).values()]
        modules = {each.__module__ for each in functions}
        assert any(each.startswith(f"imagedrop.commands.{cli.FILES[name]}") for each in modules)


SHORT_COMMAND = """
import sys
from imagedrop.cli import main
sys.argv = ["imagedrop", "cost", "--images", "10"]
try:
    main()
except SystemExit as end:
    assert not end.code
for each in ("onnxruntime", "numpy", "jinja2", "simpy", "uvicorn"):
    assert each not in sys.modules, each
"""


def test_a_short_command_imports_no_library_of_the_long_ones() -> None:
    subprocess.run([sys.executable, "-c", SHORT_COMMAND], capture_output=True, check=True)


@pytest.mark.parametrize("words", [["predcitions"], ["cloud"], ["dead_letters"]])
def test_a_word_that_is_no_command_is_answered_by_all_of_them(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(cli, "import_module", loaded.append)
    cli.load_commands(*words)
    assert len(loaded) == len(cli.COMMANDS)
    assert CliRunner().invoke(cli.app, words).exit_code == 2
