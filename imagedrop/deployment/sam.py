"""Runs the SAM CLI: build and deploy with one set of parameters, without questions."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from imagedrop.deployment.interpreters import Interpreter
from imagedrop.errors import UserError
from imagedrop.samconfig import SavedDeployment, overrides
from localcloud import environments

_STANDARD_ERROR = 2  # SAM's output is meant for people


@dataclass(frozen=True, slots=True)
class Sam:
    """The SAM CLI in a project's folder."""

    program: Path
    project: Path

    def build(self, chosen: SavedDeployment, interpreter: Interpreter) -> bool:
        """Builds the functions; False when it failed, after SAM has printed why."""
        path = interpreter.path(os.environ.get("PATH", ""))
        return self._run("build", chosen, [], {"PATH": path})

    def deploy(self, chosen: SavedDeployment) -> bool:
        """Creates or updates the stack and waits; False when it failed."""
        words = ["--stack-name", chosen.stack_name]
        words += ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
        if chosen.region:
            words += ["--region", chosen.region]
        if chosen.profile:
            words += ["--profile", chosen.profile]
        return self._run("deploy", chosen, words, {})

    def _run(
        self, command: str, chosen: SavedDeployment, words: list[str], changes: dict[str, str]
    ) -> bool:
        environment = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        overriding = ["--parameter-overrides", *overrides(chosen.parameters)]
        ended = subprocess.run(
            [self.program, command, *words, *overriding],
            cwd=self.project,
            env=environment | changes,
            stdin=subprocess.DEVNULL,
            stdout=_STANDARD_ERROR,
            check=False,
        )
        return ended.returncode == 0


def find_sam(project: Path) -> Sam:
    """Finds the SAM CLI: the one of ``make setup``, else the one on PATH.

    Raises:
        UserError: there is none.
    """
    own = environments.sam()
    found = own if own.exists() else shutil.which("sam")
    if found is None:
        raise UserError(
            f"The SAM CLI is missing: neither {own} nor a `sam` on PATH.",
            "Install it with: make setup",
        )
    return Sam(Path(found), project)
