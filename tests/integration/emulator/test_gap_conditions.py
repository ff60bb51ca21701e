"""Contract: an expression is taken apart once a query and not once a row."""

from __future__ import annotations

from tests.integration.emulator.test_gap_sorted_indexes import compared


def test_an_expression_is_taken_apart_once() -> None:
    work = compared("work")
    assert work["plain"]["taken_apart"] >= 1000
    assert work["patched"]["taken_apart"] < 20
