"""Estimates the positions of a chart's texts without a browser.

A width is Pillow's built-in sans-serif font times 1.15, because the reader's font is not known: a
chart that passes has some room in every common sans-serif font. Text in HTML is not looked at; the
browser's layout keeps it apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import ImageFont

WIDER = 1.15
ASCENT, DESCENT = 0.76, 0.24  # of the font size


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the units of its drawing."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def drawings(html: str) -> Iterator[ElementTree.Element]:
    """Every SVG of a page."""
    for found in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        yield ElementTree.fromstring(found)  # noqa: S314 - made by our own charts


def unreadable_texts(html: str) -> list[str]:
    """Returns the findings of `overlaps` and `cut_off` in a page's or a chart's drawings."""
    found = []
    for svg in drawings(html):
        found += [f"{one!r} covers {other!r}" for one, other in overlaps(svg)]
        found += [f"{text!r} is cut off" for text in cut_off(svg)]
    return found


def overlaps(svg: ElementTree.Element) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other."""
    boxes = [_box(each) for each in svg.iter("text")]
    return [
        (one.text, other.text)
        for place, one in enumerate(boxes)
        for other in boxes[place + 1 :]
        if one.overlaps(other)
    ]


def cut_off(svg: ElementTree.Element) -> list[str]:
    """Texts that reach beyond the drawing."""
    _, _, width, height = map(float, _view_box(svg).split())
    return [
        box.text
        for box in map(_box, svg.iter("text"))
        if box.left < 0 or box.top < 0 or box.right > width or box.bottom > height
    ]


def _view_box(svg: ElementTree.Element) -> str:
    return svg.get("viewBox") or f"0 0 {svg.get('width')} {svg.get('height')}"


def _box(element: ElementTree.Element) -> Box:
    text, size = element.text or "", float(element.get("font-size", "0"))
    x, y = float(element.get("x", "0")), float(element.get("y", "0"))
    width = ImageFont.load_default(size).getlength(text) * WIDER
    before = {"start": 0.0, "middle": width / 2, "end": width}[element.get("text-anchor", "start")]
    turned = re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\) rotate\(-90\)", _transform(element))
    if turned:  # upwards from its point
        x, y = float(turned[1]), float(turned[2])
        return Box(text, x - ASCENT * size, y - width, x + DESCENT * size, y)
    return Box(text, x - before, y - ASCENT * size, x - before + width, y + DESCENT * size)


def _transform(element: ElementTree.Element) -> str:
    return element.get("transform", "")
