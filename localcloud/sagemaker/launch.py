"""Runs ``model.serving`` of the current folder, and ends when the stand-in ends.

Started as a script in the subprocess, with the extracted archive as its working directory. The
standard input is a pipe whose other end the stand-in holds: it closes however the stand-in ends,
SIGKILL included, on Linux and macOS alike.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Behave as ``python -m model.serving ARGUMENTS`` does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.path[0] = os.getcwd()
    runpy.run_module("model.serving", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
