"""The bench's page shows the measurements, and which bars were not met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import machine, write
from bench.standing import OURS, Bar, Section


def section(ratio: float) -> Section:
    return Section(
        "serving",
        "Answering <one> photo",
        "CPU ms",
        {OURS: [8.0, 7.0, 9.5], "a peer": [20.0, 21.0, 19.0]},
        [Bar("a peer / ours ≥ 2", ratio, 2.0, at_least=True)],
        floor=5.0,
        notes=["Two cores."],
    )


@pytest.mark.parametrize(("ratio", "verdict"), [(2.5, "2.50, met"), (1.9, "1.90, not met")])
def test_page_shows_medians_floor_and_verdict(tmp_path: Path, ratio: float, verdict: str) -> None:
    write(tmp_path, machine(), [section(ratio)])
    page = (tmp_path / "standing.html").read_text()
    for text in (verdict, "8.0", "20.0", "the floor is 5.0", "Answering &lt;one&gt; photo"):
        assert text in page
    assert "<script" not in page


def test_json_keeps_every_round(tmp_path: Path) -> None:
    write(tmp_path, machine(), [section(2.5)])
    [found] = json.loads((tmp_path / "standing.json").read_text())["sections"]
    assert found["ways"][OURS] == {"median": 8.0, "rounds": [8.0, 7.0, 9.5]}
    assert found["bars"] == [{"text": "a peer / ours ≥ 2", "ratio": 2.5, "goal": 2.0, "met": True}]


def test_a_bar_may_be_a_most_or_a_least() -> None:
    assert Bar("at most", 0.4, 0.4, at_least=False).met
    assert not Bar("at most", 0.41, 0.4, at_least=False).met
    assert not Bar("at least", 1.49, 1.5, at_least=True).met
