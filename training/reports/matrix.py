"""A confusion matrix as SVG: readable with three classes and with hundreds."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from training.reports.axes import shortened, text_width
from training.reports.charts import element, text_element

FONT_PIXELS = 10
# The number of photos fits into a large cell; in a small one it is seen on hovering.
LARGE_CELL, SMALL_CELL = 26, 13
CLASSES_WITH_LARGE_CELLS = 30
LABEL_CHARACTERS = 28
FAINTEST = 0.3  # of a cell with one photo of many


def confusion_order(rows: Sequence[Sequence[int]]) -> list[int]:
    """An order of the classes in which those that are confused are neighbours.

    Single-linkage clustering: the most frequent confusion joins two groups of classes, then the
    next, until none is left; a group's classes stay together. Ties keep the classes' own order.

    Args:
        rows: ``[true][called]``, numbers of photos.
    """
    group_of = {place: [place] for place in range(len(rows))}
    pairs = [
        (rows[a][b] + rows[b][a], a, b)
        for a in range(len(rows))
        for b in range(a + 1, len(rows))
        if rows[a][b] + rows[b][a]
    ]
    for _, a, b in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        first, second = group_of[a], group_of[b]
        if first is not second:
            first += second
            group_of |= dict.fromkeys(second, first)
    groups = {id(group): group for group in group_of.values()}
    return [place for group in groups.values() for place in group]


def most_confused(rows: Sequence[Sequence[int]], most: int) -> list[int]:
    """The classes of the most frequent confusions, at most so many; each has its partner.

    Args:
        rows: ``[true][called]``, numbers of photos.
    """
    pairs = [
        (count, true, called)
        for true, row in enumerate(rows)
        for called, count in enumerate(row)
        if count and true != called
    ]
    chosen: set[int] = set()
    for _, true, called in sorted(pairs, key=lambda pair: -pair[0]):
        if len(chosen | {true, called}) <= most:
            chosen |= {true, called}
    return sorted(chosen)


def matrix_chart(labels: Sequence[str], rows: Sequence[Sequence[int]]) -> Markup:
    """Rows are true classes, columns what they were called; labels stay in view while it scrolls.

    The colour of a cell says which share of the true class's photos it holds.
    """
    count = len(labels)
    cell = LARGE_CELL if count <= CLASSES_WITH_LARGE_CELLS else SMALL_CELL
    names = [shortened(label, LABEL_CHARACTERS) for label in labels]
    room = round(max(text_width(name, FONT_PIXELS) for name in names)) + 10
    side = count * cell
    middle = [place * cell + cell / 2 + 3.5 for place in range(count)]
    up = "translate({:.1f} {}) rotate(-90)"
    heads = [
        text_element(name, 0, 0, FONT_PIXELS, transform=up.format(x, room - 5))
        for name, x in zip(names, middle, strict=True)
    ]
    sides = [
        text_element(name, room - 5, y, FONT_PIXELS, text_anchor="end")
        for name, y in zip(names, middle, strict=True)
    ]
    frames = (
        element("svg", Markup("").join(heads), width=side, height=room, class_="heads"),
        element("svg", Markup("").join(sides), width=room, height=side, class_="sides"),
    )
    cells = element("svg", _grid(side, cell) + _cells(labels, rows, cell), width=side, height=side)
    return Markup('<div class="matrix" tabindex="0"><i></i>{}{}{}</div>').format(*frames, cells)


def _grid(side: int, cell: int) -> Markup:
    lines = "".join(f"M0 {at}H{side}M{at} 0V{side}" for at in range(0, side + 1, cell))
    return element("path", d=lines, class_="grid")


def _cells(labels: Sequence[str], rows: Sequence[Sequence[int]], cell: int) -> Markup:
    """Only those with photos."""
    parts = []
    for true, row in enumerate(rows):
        for called, count in enumerate(row):
            if not count:
                continue
            title = f"{labels[true]}, called {labels[called]}: {count:,}"
            parts.append(
                element(
                    "rect",
                    element("title", title),
                    x=called * cell,
                    y=true * cell,
                    width=cell,
                    height=cell,
                    fill_opacity=f"{FAINTEST + (0.8 - FAINTEST) * count / sum(row):.2f}",
                    class_="right" if true == called else "wrong",
                )
            )
            if text_width(f"{count}", FONT_PIXELS) < cell and cell == LARGE_CELL:
                x, y = called * cell + cell / 2, true * cell + cell / 2 + 3.5
                parts.append(text_element(f"{count}", x, y, FONT_PIXELS, text_anchor="middle"))
    return Markup("").join(parts)
