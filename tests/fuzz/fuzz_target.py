"""One target under atheris, until its time is up or a promise is broken: arguments of libFuzzer.

Run by ``python -m tests.fuzz`` in the environment of requirements/fuzz.txt.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["imaging", "model", "pipeline"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
