"""Workflows and pre-commit run commands that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from imagedrop.cli import app

REPOSITORY = Path(__file__).parents[3]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
CLI: Any = typer.main.get_command(app)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_commands_that_exist_with_read_permission_only(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    # The deployment signs in to AWS with GitHub's identity token instead of a stored key.
    signs_in = {"id-token": "write"} if path.name == "deploy.yml" else {}
    assert workflow["permissions"] == {"contents": "read"} | signs_in
    makefile = (REPOSITORY / "Makefile").read_text()
    commands = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert commands
    for command in commands:
        program, target, *words = command.split()
        if program == "make":
            assert re.search(rf"^{target}:", makefile, re.M), command
        else:
            assert program == ".venv/bin/imagedrop"
            CLI.commands[target].make_context(target, words)


def test_only_a_person_starts_a_deployment() -> None:
    # YAML reads the key `on` as a boolean.
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "deploy.yml").read_text())
    assert set(workflow[True]) == {"workflow_dispatch"}


def test_pre_commit_runs_the_linters_of_make_check_and_fetches_nothing() -> None:
    (repository,) = yaml.safe_load((REPOSITORY / "tools" / "pre-commit.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert all(hook["language"] == "system" for hook in repository["hooks"])
    entries = {hook["entry"] for hook in repository["hooks"]}
    makefile = (REPOSITORY / "Makefile").read_text()
    (static,) = re.findall(r"^static:.*\n((?:\t.*\n)+)", makefile, re.M)
    linters = {
        line.strip().removeprefix("@").replace("$(BIN)", ".venv/bin")
        for line in static.splitlines()
    }
    assert {line.removesuffix(" .") for line in linters} <= entries
