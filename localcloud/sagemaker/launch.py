"""Runs a Python program that ends when its parent process ends.

    python launch.py -m MODULE ARGUMENTS…
    python launch.py PROGRAM.py ARGUMENTS…

The program's standard input is a pipe that the parent holds open. It closes however the parent
ends, SIGKILL included, on Linux and macOS alike. The current folder is first on the import path.
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
    """Behave as ``python -m MODULE ARGUMENTS`` or ``python PROGRAM ARGUMENTS`` does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.path[0] = os.getcwd()
    del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
