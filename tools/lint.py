"""``python -m tools.lint``: run all scanners; exit status 1 when one of them found something.

As many run at once as there are cores. A scanner that cannot run here (cfn-guard without npm,
pip-audit without a database) is reported as skipped, with the reason. In CI a scanner that is not
installed fails instead.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from imagedrop.output import INTERRUPTED
from tools import scanners

POLL_SECONDS = 0.1


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="imagedrop-lint-") as folder:
            return lint(scanners.all_of(Path(folder), os.environ.get("AUDIT", "")))
    except KeyboardInterrupt:
        return INTERRUPTED


def lint(chosen: Sequence[scanners.Scanner]) -> int:
    """Prints what each found, in their order, as soon as those before it have ended."""
    failed = False
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs: list[Future[tuple[scanners.Outcome, float]]] = []
        with _ended_together(runs):
            for scanner in chosen:
                runs.append(pool.submit(_timed, scanner))  # Ctrl-C may come between two
            for scanner, run in zip(chosen, runs, strict=True):
                # A signal just before an endless wait would be handled after it.
                while not run.done():
                    wait([run], POLL_SECONDS)
                outcome, seconds = run.result()
                print(f"{scanner.name}: {outcome.summary} ({seconds:.0f} s)", file=sys.stderr)
                for finding in outcome.findings:
                    print(f"  {finding}", file=sys.stderr)
                failed = failed or bool(outcome.findings) or (outcome.missing and in_ci())
    return int(failed)


def _timed(scanner: scanners.Scanner) -> tuple[scanners.Outcome, float]:
    started = time.monotonic()
    return scanner.run(), time.monotonic() - started


@contextmanager
def _ended_together(runs: Sequence[Future[tuple[scanners.Outcome, float]]]) -> Iterator[None]:
    """Ends the others when one fails, and all after Ctrl-C: without a terminal only we hear it."""
    others = _programs()
    try:
        yield
    except BaseException:
        for run in runs:
            run.cancel()
        while wait(runs, POLL_SECONDS).not_done:
            for program in _programs() - others:
                with suppress(psutil.NoSuchProcess):
                    program.terminate()
        raise


def _programs() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def in_ci() -> bool:
    """Say whether this runs in CI, where every scanner must be installed."""
    return os.environ.get("CI") == "true"


if __name__ == "__main__":
    sys.exit(main())
