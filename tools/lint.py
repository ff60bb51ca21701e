"""``python -m tools.lint``: run each scanner; exit status 1 when one of them found something.

A scanner that cannot run here (cfn-guard without npm, pip-audit without a database) is reported as
skipped, with the reason. In CI a scanner that is not installed fails instead.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from tools import scanners


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory(prefix="imagedrop-lint-") as folder:
        for scanner in scanners.all_of(Path(folder), os.environ.get("AUDIT", "")):
            started = time.monotonic()
            outcome = scanner.run()
            seconds = time.monotonic() - started
            print(f"{scanner.name}: {outcome.summary} ({seconds:.0f} s)", file=sys.stderr)
            for finding in outcome.findings:
                print(f"  {finding}", file=sys.stderr)
            failed = failed or bool(outcome.findings) or (outcome.missing and in_ci())
    return int(failed)


def in_ci() -> bool:
    """Say whether this runs in CI, where every scanner must be installed."""
    return os.environ.get("CI") == "true"


if __name__ == "__main__":
    sys.exit(main())
