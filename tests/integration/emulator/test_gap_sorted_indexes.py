"""Contract: a page of an index costs what it reads, and equals MiniStack's own answer."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from localcloud import environments

PAGE_ROWS = 5


def compared(what: str) -> dict[str, Any]:
    """Returns what `compared_queries.py` prints about the emulator with and without patches."""
    done = subprocess.run(
        [environments.emulator_python(), "-m", "tests.integration.emulator.compared_queries", what],
        cwd=environments.REPOSITORY,
        env=environments.without_aws(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_random_queries_are_answered_as_without_the_order() -> None:
    pages = compared("answers")
    assert pages["compared"] > 3000
    assert pages["found"] > 1000


def test_a_page_looks_at_its_rows_alone() -> None:
    work = compared("work")
    assert work["plain"]["looked_at"] >= 1000
    # Each row by the key condition and the filter, and the key condition once without a row.
    assert work["patched"]["looked_at"] == 2 * PAGE_ROWS + 1
