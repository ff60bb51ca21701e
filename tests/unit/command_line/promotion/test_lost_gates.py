"""A promotion to a model without the former gate warns, and continues."""

from __future__ import annotations

from tests.unit.command_line.promotion.conftest import World

GATE = {"label": "not_a_dog", "minimum": 0.25}


def test_promoting_a_model_without_a_gate_over_one_with_a_gate_warns(world: World) -> None:
    world.models.gates["old"] = GATE
    assert world.promoter().promote("new", "7") == "new@7"
    (warning,) = world.warnings
    assert "new@7 has no gate" in warning
    assert "old@7 calls not_a_dog" in warning


def test_a_gate_that_stays_or_was_never_there_is_no_warning(world: World) -> None:
    world.promoter().promote("new", "7")
    world.models.gates |= {"old": GATE, "new": GATE}
    world.promoter().promote("new", "7")
    assert world.warnings == []


def test_going_back_warns_of_nothing(world: World) -> None:
    world.models.gates["new"] = GATE
    world.promoter().promote("new", "7")
    world.promoter().back()
    assert world.warnings == []
