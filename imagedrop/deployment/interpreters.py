"""Finds a Python that can build the functions, by running it: a shim may not work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagedrop.errors import UserError

# Lambda's runtimes, in the order of preference: the template's default first.
RUNTIMES = ("python3.13", "python3.12", "python3.14", "python3.11")
# `sam build` runs pip with it.
_PROBE = "import pip, sys; print('python%d.%d' % sys.version_info[:2])"
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that runs, under the name of a Lambda runtime.

    Attributes:
        runtime: the value of `PythonRuntime`, such as python3.13.
        folder: where a program of that name is.
    """

    runtime: str
    folder: Path

    def path(self, environment_path: str) -> str:
        """Returns a PATH on which `sam build` finds this interpreter first."""
        return os.pathsep.join([str(self.folder), environment_path])


def find_interpreter(wanted: Sequence[str], environment_path: str) -> Interpreter:
    """Returns the first of the wanted runtimes that runs and has pip.

    Args:
        environment_path: folders to search, as in PATH; this Python's own are searched too.

    Raises:
        UserError: none of them runs.
    """
    folders = list(_folders(environment_path))
    for runtime in wanted:
        for folder in folders:
            if _is(folder / runtime, runtime):
                return Interpreter(runtime, folder)
    raise UserError(
        f"None of these Pythons runs here with pip: {', '.join(wanted)}.",
        "Install one, or name one that you have: imagedrop deploy --parameter "
        "PythonRuntime=python3.12",
    )


def _folders(environment_path: str) -> Iterator[Path]:
    yield from (Path(each) for each in environment_path.split(os.pathsep) if each)
    yield Path(sys.executable).parent
    yield Path(sys.base_prefix) / "bin"


def _is(program: Path, runtime: str) -> bool:
    try:
        answer = subprocess.run(
            [program, "-c", _PROBE],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == runtime
