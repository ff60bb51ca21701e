"""Every report is one file that escapes every value; a missing value is an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import TemplateError

from training.reports import numbers
from training.reports.page import render

HOSTILE = "<img src=x onerror=alert(1)>"
TEMPLATE = """
{% extends "page.html" %}
{% from "parts.html" import fact, facts, photo, row, table %}
{% block title %}{{ name }}{% endblock %}
{% block content %}
{% call facts() %}{{ fact(name, name) }}{% endcall %}
{% call table((name,), ("photos", "share")) %}{{ row(name, 1234, 0.5 | percent) }}{% endcall %}
{% call table((name,)) %}{% for each in () %}{{ row(each) }}{% endfor %}{% endcall %}
{{ photo(jpeg, name) }}{{ bar_chart([(name, 1.0)]) }}
{% endblock %}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "report.html"
    file.write_text(TEMPLATE)
    return file


def test_hostile_names_are_text_wherever_a_report_shows_them(template: Path) -> None:
    page = render(template, name=HOSTILE, jpeg=b"jpeg")
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 8


def test_a_report_needs_nothing_from_elsewhere(template: Path) -> None:
    page = render(template, name="photos", jpeg=b"jpeg")
    assert "<script" not in page
    assert "@import" not in page
    assert "http" not in page
    assert not re.search(r'(src|href)="(?!data:)|url\(', page)


def test_a_report_follows_light_dark_phone_and_print(template: Path) -> None:
    page = render(template, name="photos", jpeg=b"jpeg")
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page
    assert 'name="viewport" content="width=device-width' in page


def test_numbers_are_aligned_and_a_table_without_rows_says_none(template: Path) -> None:
    page = render(template, name="photos", jpeg=b"jpeg")
    assert '<td>photos</td><td class="number">1,234</td><td class="number">50.0\u00a0%</td>' in page
    assert page.count('<p class="soft">none</p>') == 1


def test_a_missing_value_is_an_error_and_no_gap(template: Path) -> None:
    with pytest.raises(TemplateError, match="name"):
        render(template, jpeg=b"jpeg")


def test_a_name_that_is_not_utf8_is_spelled_out(template: Path) -> None:
    assert "\\udcff" in render(template, name="\udcff", jpeg=b"").encode("utf-8").decode()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.number(1_234_567), "1,234,567"),
        (numbers.number(0.12345), "0.123"),
        (numbers.number(None), "—"),
        (numbers.percent(0.93218), "93.2\u00a0%"),
        (numbers.percent(None), "—"),
        (numbers.scientific(1.234e-7), "1.23e-07"),
        (numbers.short(0.0123456), "0.01235"),
        (numbers.short(1234), "1,234"),
        (numbers.short("TPE"), "TPE"),
        (numbers.size(51_234_567), "51.2 MB"),
    ],
)
def test_each_kind_of_number_is_written_in_one_way(written: str, expected: str) -> None:
    assert written == expected
