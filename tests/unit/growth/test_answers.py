"""docs/growth.md says what the model says: `python -m bench.growth_charts` writes its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.growth_charts import answers, at_ten_thousand

PAGE = (Path(__file__).parents[3] / "docs" / "growth.md").read_text()


def test_what_gives_way_at_ten_thousand_a_second_is_what_the_arithmetic_says() -> None:
    assert "\n".join(at_ten_thousand()) in PAGE, "run python -m bench.growth_charts"


@pytest.mark.thorough
def test_a_million_and_a_hundred_million_take_and_cost_what_the_simulation_says() -> None:
    assert "\n".join(answers()) in PAGE, "run python -m bench.growth_charts"
