"""Each rule finds the faults that it was written for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.template_faults import KINDS
from handlers import publish_model
from tests.unit.template.rules import RULES
from tests.unit.template.seeding import SEEDED, broken, objections
from tools.paths import PROJECT
from tools.template import Json

pytestmark = pytest.mark.thorough

LEAST_CAUGHT = 0.95
LEAST_RULES = 40
LEAST_FAULTS = 150


@pytest.fixture(scope="module")
def found() -> list[set[str]]:
    """For each seeded fault, one at a time, its rule if that objects, else the rules that do."""
    return [objections(broken(fault), rule) for rule, fault in SEEDED]


@pytest.mark.parametrize(
    "index", range(len(SEEDED)), ids=[f"{index}-{rule}" for index, (rule, _) in enumerate(SEEDED)]
)
def test_a_seeded_fault_is_found(found: list[set[str]], index: int) -> None:
    assert SEEDED[index][0] in found[index], SEEDED[index][1]


def test_the_benchmark_of_scanners_names_kinds_that_are_seeded() -> None:
    assert set(KINDS) <= {rule for rule, _ in SEEDED}


def test_nearly_all_seeded_faults_are_caught_and_the_template_raises_no_alarm(
    found: list[set[str]], template: Json, record_property: Callable[[str, object], None]
) -> None:
    kinds = {rule for rule, _ in SEEDED}
    caught = sum(bool(rules) for rules in found)
    false_alarms = [fault for rule in RULES.values() for fault in rule(template)]
    record_property("rules", len(kinds))
    record_property("faults", len(SEEDED))
    record_property("caught", caught)
    print(f"{caught} of {len(SEEDED)} faults of {len(kinds)} rules caught")
    assert len(kinds) >= LEAST_RULES
    assert len(SEEDED) >= LEAST_FAULTS
    assert caught / len(SEEDED) >= LEAST_CAUGHT
    assert false_alarms == []


@pytest.mark.parametrize(
    "elsewhere", [Path("/model.tar.gz"), PROJECT / "functions" / "gone.tar.gz"]
)
def test_an_archive_that_is_not_in_the_bundle_is_found(
    template: Json, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setattr(publish_model, "ARCHIVE_PATH", elsewhere)
    assert list(RULES["the_default_model_is_in_the_bundle"](template))


def test_every_rule_has_a_seeded_fault() -> None:
    proven = {rule for rule, _ in SEEDED} | {"the_default_model_is_in_the_bundle"}
    assert proven == set(RULES)
