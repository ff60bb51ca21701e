"""Workflows and pre-commit run commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_make_targets_with_read_permission_only(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    makefile = (REPOSITORY / "Makefile").read_text()
    commands = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert commands
    for command in commands:
        program, target, *_ = command.split()
        assert program == "make"
        assert re.search(rf"^{target}:", makefile, re.M), command


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
