"""A month's cost, both ways, from the same prices and the same arithmetic."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.estimates.bulk_run import RunSettings, size_run
from imagedrop.estimates.month import Mode, month_of
from imagedrop.estimates.prices import NOTED_ON
from imagedrop.estimates.shadow import shadow_cost

MILLION = 1_000_000


def test_bulk_costs_what_the_sizing_says() -> None:
    expected = size_run(MILLION, RunSettings()).cost_dollars
    assert month_of(MILLION, Mode.BULK) == expected


def test_drop_costs_by_hand() -> None:
    cost = month_of(MILLION, Mode.DROP)
    assert cost["table"] == pytest.approx(3 * 0.625)
    assert cost["queue"] == pytest.approx(1.2 * 0.40)
    # 71 GB of WebP into the serverless endpoint, and 0.42 GB of answers out of it.
    assert cost["endpoint, data"] == pytest.approx((71 + 0.42) * 0.016)
    # 7.3 ms for an answer and 1.2 for WebP, with 2 GB.
    seconds = 1e6 * (1 / 137 + 0.0012)
    assert cost["endpoint, seconds"] == pytest.approx(seconds * 2 * 0.00002)
    # Read 2.1, prepare 5, encode 1.8 ms; 2.5 for a row; the wait for the answer; 100,000 calls.
    gigabyte_seconds = (1e6 * (0.0089 + 0.0025) + seconds) * 1769 / 1024
    assert cost["lambda"] == pytest.approx(gigabyte_seconds * 0.0000133334 + 0.1 * 0.20)
    # A batch of 10: 2 kB, and 27 bytes an image for its id and its seconds.
    assert cost["logs"] == pytest.approx((0.2 + 0.027) * 0.50)
    # 10,000 batches of 100 changes: 12 write units, a call, and 0.1 s with half a GB.
    changes = 0.01 * (12 * 0.625 + 0.20) + 1e4 * 0.05 * 0.0000133334
    assert cost["history and counters"] == pytest.approx(changes)


@pytest.mark.parametrize(("mode", "promised"), [(Mode.DROP, 4.85), (Mode.BULK, 3.40)])
def test_a_million_images_cost_no_more_than_is_promised(mode: Mode, promised: float) -> None:
    cost = month_of(MILLION, mode)
    order = cost.pop("table, order by confidence")
    assert order == pytest.approx(0.625)
    assert 0.05 < cost.pop("history and counters") <= 0.10
    assert sum(cost.values()) <= promised


def test_a_drop_costs_in_proportion() -> None:
    one, hundred = (sum(month_of(count * MILLION, Mode.DROP).values()) for count in (1, 100))
    assert hundred == pytest.approx(100 * one)


def test_both_ways_are_printed_side_by_side_as_data_and_the_caveat_as_talk() -> None:
    result = CliRunner().invoke(app, ["cost", "--images", "1000000"])
    assert result.exit_code == 0
    header, *_, together = result.stdout.splitlines()
    assert header.split() == ["paid", "for", "drop,", "$", "bulk,", "$"]
    assert len(together.split()) == 3
    assert f"noted on {NOTED_ON}: check before quoting" in " ".join(result.stderr.split())


def test_a_candidate_costs_in_proportion_to_its_share() -> None:
    none, some, all_of_them = (shadow_cost(1_000_000, share) for share in (0.0, 0.1, 1.0))
    assert 0 < none < 0.05  # the function looks at every row
    assert all_of_them - none == pytest.approx(10 * (some - none), rel=0.01)
    words = ("cost", "--images", "1000000", "--mode", "drop", "--shadow", "0.1")
    assert "candidate" in CliRunner().invoke(app, words).stdout


def test_one_way_alone() -> None:
    result = CliRunner().invoke(app, ["cost", "--images", "1000000", "--mode", "drop"])
    assert "bulk" not in result.stdout
    assert "queue" in result.stdout
