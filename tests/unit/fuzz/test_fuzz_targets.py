"""The fuzzer's targets keep their promise for its seeds and for every input that ever broke one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, seeds

CRASHES = Path(__file__).parents[2] / "fuzz" / "crashes"


@pytest.mark.parametrize("target", TARGETS)
def test_promise_is_kept_for_all_seeds(target: str) -> None:
    inputs = list(seeds(target))
    assert inputs
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("crash", sorted(CRASHES.rglob("*-*")), ids=lambda path: path.name)
def test_promise_is_kept_for_what_broke_it_before(crash: Path) -> None:
    TARGETS[crash.parent.name](crash.read_bytes())
