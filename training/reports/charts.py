"""Charts as SVG for inline use in HTML: no scripts; every text is escaped.

Colours are the classes `s0` to `s5` of the stylesheet, so that they follow light and dark. Legends
are HTML below the drawing, where they wrap and cannot overlap it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from training.reports.axes import FONT_PIXELS, Axis, shortened, text_width
from training.reports.numbers import short

WIDTH, HEIGHT = 440, 250
TOP, RIGHT, BOTTOM = 26, 30, 42
COLOURS = 6
OUT = 15  # pixels, a line of text
MOST_DOTS = 60  # of a line; more would hide it
NONE = Markup('<p class="soft">none</p>')


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour.

    Attributes:
        name: in the legend.
        points: x and y; those that are not finite are left out.
        titles: what a reader sees on hovering over each point; empty for its numbers.
        errors: the low and high end of each point's error bar, or none at all.
        is_joined: whether a line goes through the points.
        has_dots: whether each point is drawn.
    """

    name: str
    points: Sequence[tuple[float, float]]
    titles: Sequence[str] = ()
    errors: Sequence[tuple[float, float]] = ()
    is_joined: bool = True
    has_dots: bool = True


@dataclass(frozen=True, slots=True)
class _Plot:
    """The area within the axes, and how values become pixels."""

    x_axis: Axis
    y_axis: Axis
    left: float
    right: float

    def x(self, value: float) -> float:
        return self.left + self.x_axis.place(value) * (self.right - self.left)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.y_axis.place(value) * (HEIGHT - BOTTOM - TOP)


def known(points: Iterable[tuple[float, float | None]]) -> list[tuple[float, float]]:
    """Leaves out what was not measured."""
    return [(x, y) for x, y in points if y is not None]


def breakable(name: str) -> Markup:
    """A label or file name that may wrap after each underscore."""
    return Markup("_<wbr>").join(name.split("_"))


def xy_chart(series: Sequence[Series], x_axis: Axis, y_axis: Axis) -> Markup:
    """Lines or dots over two axes, with a legend when there is more than one series."""
    points = [point for each in series for point in each.points if _is_finite(point)]
    if not points:
        return NONE
    ys = [y for _, y in points] + [end for each in series for error in each.errors for end in error]
    plot = _plot(x_axis.around([x for x, _ in points]), y_axis.around(ys))
    drawn = Markup("").join(_series(plot, each, number) for number, each in enumerate(series))
    return _figure(_axes(plot) + drawn, _legend(series))


def column_chart(
    counts: Sequence[int], x_axis: Axis, y_axis: Axis, marks: Sequence[tuple[str, float]] = ()
) -> Markup:
    """A histogram: columns of equal width from one end of the x axis to the other.

    Args:
        marks: names of places on the x axis, each drawn as a vertical line and told in the legend.
    """
    low, high = x_axis.ends
    plot = _plot(x_axis, Axis(y_axis.label, 0, max(counts) or 1, is_whole=True))
    edges = [low + (high - low) * place / len(counts) for place in range(len(counts) + 1)]
    columns = Markup("").join(
        element(
            "rect",
            element("title", f"{left:.2f} to {right:.2f}: {count:,}"),
            x=plot.x(left) + 0.5,
            y=plot.y(count),
            width=plot.x(right) - plot.x(left) - 1,
            height=plot.y(0) - plot.y(count),
            class_="s0 filled",
        )
        for (left, right), count in zip(pairwise(edges), counts, strict=True)
    )
    lines = [Series(name, [(x, 0), (x, plot.y_axis.ends[1])], has_dots=False) for name, x in marks]
    drawn = [_series(plot, each, number) for number, each in enumerate(lines, start=1)]
    legend = _legend([Series(y_axis.label, ()), *lines])
    return _figure(_axes(plot) + columns + Markup("").join(drawn), legend)


def bar_chart(
    items: Sequence[tuple[str, float]], written: Callable[[float], str] = short
) -> Markup:
    """A table of labels, horizontal bars and numbers, in the order given."""
    if not items:
        return NONE
    most = max(value for _, value in items) or 1.0
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td><td class="number">{}</td></tr>').format(
            breakable(label), _bar(value / most), written(value)
        )
        for label, value in items
    )
    return Markup('<table class="bars">{}</table>').format(rows)


def parallel_chart(axes: Sequence[Axis], lines: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Parallel coordinates: a vertical axis each, and lines through one value on each of them.

    Args:
        lines: name and a value for every axis.
    """
    if not lines:
        return NONE
    scaled = [
        axis.around([values[place] for _, values in lines]) for place, axis in enumerate(axes)
    ]
    # Every other axis has its texts further out, so that each has room for two.
    left, right, top, floor = 60, WIDTH - 60, TOP + OUT, HEIGHT - BOTTOM - 2 * OUT
    gap = (right - left) / max(1, len(axes) - 1)
    xs = [left + place * gap for place in range(len(axes))]
    characters = int(min(2 * gap, 2 * left) / text_width("x")) - 1

    def y(axis: Axis, value: float) -> float:
        return floor - axis.place(value) * (floor - top)

    drawn = [
        _vertical(axis, x, (top, floor), OUT * (place % 2), characters)
        for place, (axis, x) in enumerate(zip(scaled, xs, strict=True))
    ]
    for number, (name, values) in enumerate(lines):
        places = [(x, y(axis, v)) for x, axis, v in zip(xs, scaled, values, strict=True)]
        drawn.append(_line(places, number, name))
    named = [Series(name, list(zip(xs, values, strict=True))) for name, values in lines]
    return _figure(Markup("").join(drawn), _legend(named))


def _is_finite(point: tuple[float, float]) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _plot(x_axis: Axis, y_axis: Axis) -> _Plot:
    widest = max(text_width(label) for _, label in y_axis.ticks(5))
    # Half of a label at an end of the x axis is beyond it.
    beyond = max((text_width(label) for _, label in x_axis.ticks(8)), default=0.0) / 2 + 4
    return _Plot(x_axis, y_axis, max(widest + 10, beyond), WIDTH - max(RIGHT, beyond))


def _axes(plot: _Plot) -> Markup:
    """Grid lines, ticks and labels. The y axis is named above its upper end."""
    floor = HEIGHT - BOTTOM
    parts = [text_element(plot.y_axis.label, 2, 12, class_="name")]
    for value, label in plot.y_axis.ticks(5):
        y = plot.y(value)
        parts.append(element("path", d=f"M{plot.left:.1f} {y:.1f}H{plot.right:.1f}", class_="grid"))
        parts.append(text_element(label, plot.left - 6, y + 4, text_anchor="end"))
    for x, label in _x_ticks(plot):
        parts.append(element("path", d=f"M{x:.1f} {floor}v4", class_="axis"))
        parts.append(text_element(label, x, floor + 17, text_anchor="middle"))
    parts.append(element("path", d=f"M{plot.left:.1f} {floor}H{plot.right:.1f}", class_="axis"))
    parts.append(
        text_element(
            plot.x_axis.label, (plot.left + plot.right) / 2, HEIGHT - 6, text_anchor="middle"
        )
    )
    return Markup("").join(parts)


def _x_ticks(plot: _Plot) -> list[tuple[float, str]]:
    """As many as fit beside each other."""
    for most in (8, 6, 4, 2, 1):
        ticks = [(plot.x(value), label) for value, label in plot.x_axis.ticks(most)]
        gaps = [right[0] - left[0] for left, right in pairwise(ticks)]
        widest = max((text_width(label) for _, label in ticks), default=0.0)
        if all(gap >= widest + 8 for gap in gaps):
            break
    return ticks


def _series(plot: _Plot, series: Series, number: int) -> Markup:
    kept = [place for place, point in enumerate(series.points) if _is_finite(point)]
    places = [(plot.x(series.points[k][0]), plot.y(series.points[k][1])) for k in kept]
    parts = []
    if series.errors:
        bars = [series.errors[k] for k in kept]
        parts += [
            _error_bar(plot, x, *bar, number) for (x, _), bar in zip(places, bars, strict=True)
        ]
    if series.is_joined:
        parts.append(_line(places, number, series.name))
    if series.has_dots and (len(places) <= MOST_DOTS or not series.is_joined):
        titles = series.titles or [
            f"{series.name}: {short(float(x))}, {short(float(y))}" for x, y in series.points
        ]
        parts += [_dot(*at, number, titles[k]) for k, at in zip(kept, places, strict=True)]
    return Markup("").join(parts)


def _error_bar(plot: _Plot, x: float, low: float, high: float, number: int) -> Markup:
    bottom, top = plot.y(low), plot.y(high)
    caps = f"M{x - 3:.1f} {bottom:.1f}h6M{x - 3:.1f} {top:.1f}h6"
    path = f"M{x:.1f} {bottom:.1f}V{top:.1f}{caps}"
    return element("path", d=path, class_=f"s{number % COLOURS} error")


def _line(places: Sequence[tuple[float, float]], number: int, title: str = "") -> Markup:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return element("polyline", _title(title), points=points, class_=f"s{number % COLOURS} line")


def _dot(x: float, y: float, number: int, title: str = "") -> Markup:
    colour = f"s{number % COLOURS} filled"
    return element("circle", _title(title), cx=x, cy=y, r=3.5, class_=colour)


def _title(title: str) -> Markup:
    """Returns the text that is shown on hovering."""
    return element("title", title) if title else Markup("")


def _vertical(
    axis: Axis, x: float, ends: tuple[float, float], out: float, characters: int
) -> Markup:
    """An axis of parallel coordinates: its ends in numbers, its name below.

    Args:
        ends: the top and the bottom of the axis.
        out: how much further out the texts are.
        characters: the longest text.
    """
    (top, floor), (low, high) = ends, axis.ends
    parts = [element("path", d=f"M{x:.1f} {top}V{floor}", class_="axis")]
    for value, y in ((high, top - 8 - out), (low, floor + 16 + 2 * out)):
        shown = 10**value if axis.is_log else value
        parts.append(text_element(str(short(float(shown))), x, y, text_anchor="middle"))
    name = shortened(axis.label, characters)
    parts.append(text_element(name, x, floor + 31 + 2 * out, text_anchor="middle"))
    return Markup("").join(parts)


def _bar(share: float) -> Markup:
    bar = element("rect", width=100 * share, height=10, class_="s0 filled")
    return element("svg", bar, viewBox="0 0 100 10", preserveAspectRatio="none", class_="bar")


def _legend(series: Sequence[Series]) -> Markup:
    """Each name with its line or dot; series without points are left out."""
    items = [
        Markup('<li><svg class="key" viewBox="0 0 26 8">{}</svg>{}</li>').format(
            _line([(0, 4), (26, 4)], number) if each.is_joined else _dot(13, 4, number), each.name
        )
        for number, each in enumerate(series)
        if each.points
    ]
    if len(items) < 2:
        return Markup("")
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _figure(inside: Markup, legend: str = "") -> Markup:
    svg = element("svg", inside, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart")
    return Markup('<figure class="plot">{}{}</figure>').format(svg, legend)


def text_element(
    text: str, x: float, y: float, pixels: int = FONT_PIXELS, **attributes: str
) -> Markup:
    """A text whose baseline begins (or, by `text_anchor`, ends) at a point."""
    return element("text", text, x=x, y=y, font_size=pixels, **attributes)


def element(name: str, content: str = "", **attributes: str | float) -> Markup:
    """An element; `class_` is written `class`, other underscores become hyphens."""
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else value
        )
        for key, value in attributes.items()
    )
    return Markup("<{}{}>{}</{}>").format(name, written, content, name)
