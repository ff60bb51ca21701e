"""Runs a training job's program, and ends when the stand-in ends.

Started as a script, with the folder of the sources as its working directory, the program's name as
its first argument and the program's own arguments behind it. The standard input is a pipe whose
other end the stand-in holds: it closes however the stand-in ends, SIGKILL included.
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
    """Behave as ``python PROGRAM ARGUMENTS`` does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.path[0] = os.getcwd()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
