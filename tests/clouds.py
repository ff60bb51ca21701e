"""Local clouds of tests end with the tests, even when pytest is killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from localcloud.environments import REPOSITORY

_STOP_SECONDS = 120.0
# Reads until the pipe closes, which happens however the test process ends.
_GUARD = """
import sys
from pathlib import Path
sys.stdin.read()
from localcloud import cloud
cloud.down(Path(sys.argv[1]))
"""


@contextlib.contextmanager
def stopped_with_the_tests(home: Path) -> Iterator[None]:
    """Stop the local cloud in `home` at the end of the block, or when this process ends.

    The processes of a cloud outlive the command that starts them, so another process waits for
    the end of this one.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _GUARD, str(home)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a signal for pytest's process group does not reach it
    ) as guard:
        try:
            yield
        finally:
            _, error = guard.communicate(timeout=_STOP_SECONDS)
            assert guard.returncode == 0, error.decode()
