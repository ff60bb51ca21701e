"""The building blocks of every report: one HTML file, no scripts, nothing from elsewhere.

Values in, HTML out; every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--back:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--back:#0d1117}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;
color:var(--ink);background:var(--back)}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:left;
vertical-align:top;overflow-wrap:anywhere}td.number{text-align:right;font-variant-numeric:tabular-nums}
.soft{color:var(--soft)}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .axis{stroke:var(--line)}figure{display:inline-block;margin:.3rem;text-align:center}
figcaption{font-size:12px;color:var(--soft);max-width:10rem}
"""
COLOURS = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989")
WIDTH, HEIGHT = 560, 220
LEFT, BOTTOM = 48, 34


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; ``html`` is trusted, made by this module."""

    title: str
    html: str


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole file. What UTF-8 cannot hold, of file names in another encoding, is spelled out."""
    body = "".join(f"<h2>{escape(each.title)}</h2>{each.html}" for each in sections)
    whole = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{escape(title)}</h1>{body}</html>\n"
    )
    return whole.encode("utf-8", "backslashreplace").decode()


def text(words: str) -> str:
    """A paragraph."""
    return f"<p>{escape(words)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Numbers stand to the right; floats with four decimals."""
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    lines = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{lines}</table>" if lines else '<p class="soft">none</p>'


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape('' if value is None else str(value))}</td>"
    return (
        f'<td class="number">{value:,.4f}</td>'
        if isinstance(value, float)
        else (f'<td class="number">{value:,}</td>')
    )


def bar_chart(items: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars, one a line, in the order given."""
    most = max((value for _, value in items), default=0.0) or 1.0
    row, label_width, bar_width = 18, 190, 330
    bars = "".join(
        f'<text x="{label_width - 6}" y="{index * row + 13}" text-anchor="end">'
        f"{escape(label[:30])}</text>"
        f'<rect x="{label_width}" y="{index * row + 3}" height="12" fill="{COLOURS[0]}"'
        f' width="{bar_width * value / most:.1f}"/>'
        f'<text x="{label_width + bar_width * value / most + 4:.1f}" y="{index * row + 13}">'
        f"{value:,.4g}</text>"
        for index, (label, value) in enumerate(items)
    )
    return f'<svg viewBox="0 0 {WIDTH + 20} {len(items) * row + 6}" width="580">{bars}</svg>'


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str
) -> str:
    """Each series a line through its points, and its name beside it."""
    points = [point for line in series.values() for point in line]
    if not points:
        return '<p class="soft">none</p>'
    scale = _Scale.around(points)
    lines = "".join(
        f'<polyline fill="none" stroke="{_colour(index)}" stroke-width="1.8" points="'
        + " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in line)
        + f'"/><text x="{LEFT + 8 + 130 * (index % 4)}" y="{12 + 13 * (index // 4)}"'
        f' style="fill:{_colour(index)}">{escape(name)}</text>'
        for index, (name, line) in enumerate(series.items())
    )
    return _chart(scale, lines, x_label, y_label)


def scatter_chart(points: Sequence[tuple[float, float, str]], x_label: str, y_label: str) -> str:
    """A dot for each ``(x, y, what it is)``."""
    if not points:
        return '<p class="soft">none</p>'
    scale = _Scale.around([(x, y) for x, y, _ in points])
    dots = "".join(
        f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="4" fill="{COLOURS[0]}"'
        f' fill-opacity=".7"><title>{escape(title)}</title></circle>'
        for x, y, title in points
    )
    return _chart(scale, dots, x_label, y_label)


def thumbnail(image_bytes: bytes, title: str, media_type: str = "image/jpeg") -> str:
    """A small picture with its caption; the bytes are shown as they are."""
    data = base64.b64encode(image_bytes).decode()
    return (
        f'<figure><img alt="" width="112" src="data:{escape(media_type)};base64,{data}">'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    low_x: float
    high_x: float
    low_y: float
    high_y: float

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]]) -> _Scale:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return cls(min(xs), max(xs), min(ys), max(ys))

    def x(self, value: float) -> float:
        span = self.high_x - self.low_x or 1.0
        return LEFT + (value - self.low_x) / span * (WIDTH - LEFT - 10)

    def y(self, value: float) -> float:
        span = self.high_y - self.low_y or 1.0
        return HEIGHT - BOTTOM - (value - self.low_y) / span * (HEIGHT - BOTTOM - 30)


def _chart(scale: _Scale, inside: str, x_label: str, y_label: str) -> str:
    floor = HEIGHT - BOTTOM
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">'
        f'<path class="axis" fill="none" d="M{LEFT} 24V{floor}H{WIDTH - 10}"/>'
        f'<text x="{LEFT - 4}" y="{floor}" text-anchor="end">{scale.low_y:.3g}</text>'
        f'<text x="{LEFT - 4}" y="34" text-anchor="end">{scale.high_y:.3g}</text>'
        f'<text x="{LEFT}" y="{floor + 14}">{scale.low_x:.3g}</text>'
        f'<text x="{WIDTH - 10}" y="{floor + 14}" text-anchor="end">{scale.high_x:.3g}</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text x="4" y="12">{escape(y_label)}</text>{inside}</svg>'
    )


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
