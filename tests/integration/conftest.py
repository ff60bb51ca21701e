"""One local cloud for all tests that need the whole pipeline: the real template, deployed once.

Its permissions are enforced, so every test here also shows that the roles allow what is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagedrop.target import Target, local_target
from localcloud import cloud
from localcloud.record import Strictness
from tests.clouds import stopped_with_the_tests
from tests.commands import Commands, ready_commands

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Stack:
    """The deployed template, and the command line that talks to it."""

    home: Path
    target: Target
    commands: Commands

    def command(self, *arguments: str | Path, exit_code: int = 0) -> str:
        """Returns the standard output of ``imagedrop ARGUMENTS``; both outputs if it fails."""
        finished = self._run(*arguments)
        assert finished.returncode == exit_code, finished.stdout + finished.stderr
        return finished.stdout + (finished.stderr if exit_code else "")

    def command_said(self, *arguments: str | Path) -> str:
        """Returns the standard error of ``imagedrop ARGUMENTS``, its messages for people."""
        finished = self._run(*arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stderr

    def _run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"IMAGEDROP_HOME": str(self.home), "COLUMNS": "200"}
        return self.commands.run([*map(str, arguments)], environment, timeout_seconds=300)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("cloud")
    with stopped_with_the_tests(home), ready_commands() as commands:
        with pytest.MonkeyPatch.context() as patch:
            # The workflow's waits of seconds take tenths of them: the emulator's own setting.
            patch.setenv("SFN_WAIT_SCALE", "0.1")
            running = cloud.up(home, strictness=Strictness(enforce_iam=True))
        yield Stack(home, local_target(running), commands)


@pytest.fixture
def default_again(stack: Stack) -> Iterator[None]:
    """Restores the default model after each test, whatever it has promoted."""
    yield
    s3, bucket = stack.target.client("s3"), stack.target.outputs["ModelsBucketName"]
    while s3.list_objects_v2(Bucket=bucket, Prefix="models/promotions.json")["KeyCount"]:
        found = s3.get_object(Bucket=bucket, Key="models/promotions.json")
        if not json.loads(found["Body"].read())["promotions"]:
            return
        stack.command("promote", "--back", "--bake-seconds", "0")
