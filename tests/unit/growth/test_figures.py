"""The model's figures: where each comes from, and that estimates use the same ones."""

from __future__ import annotations

from imagedrop.estimates import bulk_run, month
from imagedrop.growth.figures import Kind, known, listed


def test_every_figure_says_whether_it_is_measured_documented_or_assumed_and_by_what() -> None:
    for each in listed():
        assert all((each.unit, each.source)), each.name
        if each.kind is Kind.DOCUMENTED:
            assert "https://docs.aws.amazon.com/" in each.source, each.name
        if each.kind is Kind.MEASURED:
            assert "python -m bench." in each.source or "docs/" in each.source, each.name


def test_a_figure_that_estimates_use_has_one_value() -> None:
    shared = 0
    for each in listed():
        for module in (bulk_run, month):
            if hasattr(module, each.name):
                assert getattr(module, each.name) == each.value, each.name
                shared += 1
    assert shared >= 8


def test_the_model_knows_every_figure_of_the_file() -> None:
    assert known().first_batches == 5
