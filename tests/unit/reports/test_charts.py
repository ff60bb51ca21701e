"""Charts: no text covers another or is cut off, and hostile labels stay text."""

from __future__ import annotations

import math
import re

import pytest
from markupsafe import Markup

from tests.text_boxes import unreadable_texts
from training.reports.axes import Axis
from training.reports.charts import (
    NONE,
    Series,
    bar_chart,
    column_chart,
    parallel_chart,
    xy_chart,
)
from training.reports.matrix import confusion_order, matrix_chart, most_confused
from training.reports.tuning import TITLES

HOSTILE = '<img onerror="alert(1)" src=x>'
LONG = "a_class_with_a_very_long_name_that_no_chart_has_room_for"


def line(*points: tuple[float, float], name: str = "line") -> Series:
    return Series(name, points)


CHARTS = {
    "a curve": xy_chart(
        [line((1, 0.9), (20, 0.01)), line((1, 1.2), (20, 0.3), name="validation")],
        Axis("epoch", is_whole=True),
        Axis("loss"),
    ),
    "one point": xy_chart([line((1, 0.5))], Axis("epoch", is_whole=True), Axis("loss")),
    "large numbers": xy_chart(
        [line((0, 1_234_567_890), (98_765_432, 2_345_678_901))], Axis("time, s"), Axis("bytes")
    ),
    "tiny numbers": xy_chart(
        [line((0.000_01, 1e-7), (0.000_02, 9e-7))], Axis("rate"), Axis("gradient")
    ),
    "a logarithm over decades": xy_chart(
        [line((-4, 0.5), (0, 0.9))], Axis("learning rate", is_log=True), Axis("top-1")
    ),
    "a logarithm within a decade": xy_chart(
        [line((-4.9, 0.5), (-4.1, 0.9))], Axis("learning rate", is_log=True), Axis("top-1")
    ),
    "shares": xy_chart(
        [line((0, 0), (1, 1))],
        Axis("confidence", 0, 1, is_share=True),
        Axis("share that is right", 0, 1, is_share=True),
    ),
    "columns": column_chart(
        [0, 1_200_000, 3] * 5, Axis("confidence", 0, 1, is_share=True), Axis("photos")
    ),
    "a narrow range of large values over few counts": column_chart(
        [1, 5, 2], Axis("milliseconds", 259.4, 259.62), Axis("steps")
    ),
    "long labels at both ends": column_chart(
        [1, 5, 2], Axis("bytes", 1_000_000_000, 5_000_000_000), Axis("files")
    ),
    "no columns": column_chart([0] * 20, Axis("confidence", 0, 1), Axis("photos")),
    "parallel": parallel_chart(
        [Axis("learning rate", is_log=True), Axis("batch size"), Axis("epochs"), Axis(LONG)],
        [("best", (-2.123_456, 32, 6, 0.912_345)), ("next", (-2.5, 64, 2, 0.9))],
    ),
    "parallel, with every hyperparameter": parallel_chart(
        [
            Axis(name, is_log="rate" in name or "decay" in name)
            for name in (*TITLES.values(), "log loss out of fold")
        ],
        [
            ("best", (-2.8, 16, 14, -2.723_1, 0.123_4, 2, -3.123_4, 0.141_7)),
            ("next", (-1.247_2, 128, 40, -0.365_5, 0.2, 0, -5.2, 12.440_4)),
        ],
    ),
    "a histogram with marks": column_chart(
        [0, 50, 3], Axis("milliseconds", 1.2, 18.3), Axis("steps"), [("p50", 1.6), ("p99", 18.3)]
    ),
    "a small matrix": matrix_chart(["cat", LONG], [[12_345, 1], [0, 9]]),
    "a large matrix": matrix_chart(
        [f"breed_number_{n}" for n in range(133)],
        [[30 * (a == b) + (b == a + 1) for b in range(133)] for a in range(133)],
    ),
}


@pytest.mark.parametrize("name", CHARTS)
def test_no_text_covers_another_or_is_cut_off(name: str) -> None:
    assert "<text" in CHARTS[name]
    assert unreadable_texts(CHARTS[name]) == []


def test_the_overlap_check_finds_texts_that_cover_each_other() -> None:
    chart = (
        '<svg viewBox="0 0 100 20"><text x="0" y="12" font-size="12">validation</text>'
        '<text x="40" y="14" font-size="12">training, long</text></svg>'
    )
    assert unreadable_texts(chart) == [
        "'validation' covers 'training, long'",
        "'training, long' is cut off",
    ]


@pytest.mark.parametrize(
    "chart",
    [
        xy_chart([line((0, 0), name=HOSTILE), line((1, 1))], Axis(HOSTILE), Axis(HOSTILE)),
        bar_chart([(HOSTILE, 1)]),
        parallel_chart([Axis(HOSTILE)], [(HOSTILE, [1])]),
        matrix_chart([HOSTILE], [[1]]),
    ],
)
def test_hostile_labels_are_text(chart: Markup) -> None:
    assert "<img" not in chart
    assert "&lt;img onerror" in chart
    assert 'onerror="' not in chart


def test_values_that_are_not_finite_are_left_out() -> None:
    chart = xy_chart([line((1, math.nan), (2, 0.5), (3, math.inf))], Axis("epoch"), Axis("loss"))
    assert chart.count("<circle") == 1
    assert "nan" not in chart
    assert xy_chart([line((1, math.nan))], Axis("epoch"), Axis("loss")) == NONE


def test_points_and_error_bars_are_drawn_at_their_values() -> None:
    series = Series("bins", [(0.0, 0.0), (1.0, 1.0)], errors=[(0.0, 0.5), (0.5, 1.0)])
    chart = xy_chart([series], Axis("x", 0, 1), Axis("y", 0, 1))
    (first, last) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', chart)
    (middle,) = set(re.findall(r"h6M[\d.]+ ([\d.]+)h6", chart)) - {last[1]}
    assert float(first[0]) < float(last[0])
    assert float(middle) == pytest.approx((float(first[1]) + float(last[1])) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis("x", 0, 1), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (Axis("x", 1, 3, is_whole=True), ["1", "2", "3"]),
        (Axis("x", 0, 1, is_share=True), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]),
        (Axis("x", -3, -2, is_log=True), ["0.001", "0.002", "0.005", "0.01"]),
        (Axis("x", -3.1, -1, is_log=True), ["0.001", "0.01", "0.1"]),
        (Axis("x", 0, 12_000), ["0", "5,000", "10,000"]),
        (Axis("x", 0.9991, 0.9999), ["0.9992", "0.9994", "0.9996", "0.9998"]),
    ],
)
def test_ticks_are_round_numbers(axis: Axis, labels: list[str]) -> None:
    assert [label for _, label in axis.ticks(5)] == labels


def test_confused_classes_are_neighbours_in_the_matrix() -> None:
    rows = [[9, 0, 0, 3], [0, 9, 2, 0], [0, 2, 9, 0], [1, 0, 0, 9]]
    assert confusion_order(rows) == [0, 3, 1, 2]


def test_most_confused_classes_come_with_those_they_are_confused_with() -> None:
    rows = [[5, 0, 0, 0], [0, 3, 0, 2], [1, 0, 4, 0], [0, 0, 0, 5]]

    assert most_confused(rows, 4) == [0, 1, 2, 3]
    assert most_confused(rows, 2) == [1, 3]
    # Neither of the other two without its partner.
    assert most_confused(rows, 3) == [1, 3]
    assert most_confused([[5, 0], [0, 5]], 2) == []


def test_every_class_is_in_the_matrix_once() -> None:
    rows = [[int((a * b) % 7 == 1) for b in range(40)] for a in range(40)]
    assert sorted(confusion_order(rows)) == list(range(40))


def test_a_cell_of_the_matrix_says_its_classes_and_its_number() -> None:
    chart = matrix_chart(["cat", "dog"], [[7, 2], [0, 5]])
    titles = re.findall(r"<title>(.*?)</title>", chart)
    assert titles == ["cat, called cat: 7", "cat, called dog: 2", "dog, called dog: 5"]
