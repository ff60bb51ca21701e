"""Axes of a chart: their scale, their ticks and the room that their labels need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

FONT_PIXELS = 12
# Of the font size. Names and numbers took 0.50 to 0.64 in DejaVu Sans, a wide sans-serif font.
CHARACTER_WIDTH = 0.66
MOST_DECIMALS = 4  # of a tick; smaller numbers are written with an exponent


@dataclass(frozen=True, slots=True)
class Axis:
    """The scale and the labels of an axis.

    Attributes:
        label: the quantity, with its unit.
        low, high: the ends; None takes them from the points.
        is_log: values are logarithms to base 10; ticks show the numbers themselves.
        is_share: values are 0..1; ticks show percent.
        is_whole: only whole numbers get a tick.
    """

    label: str
    low: float | None = None
    high: float | None = None
    is_log: bool = False
    is_share: bool = False
    is_whole: bool = False

    def around(self, values: Sequence[float]) -> Axis:
        """With both ends; an axis without extent gets one."""
        low = min(values) if self.low is None else self.low
        high = max(values) if self.high is None else self.high
        if low == high:
            low, high = low - 0.5, high + 0.5
        return replace(self, low=low, high=high)

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest value; ValueError before `around`."""
        if self.low is None or self.high is None:
            raise ValueError(f"the axis {self.label!r} has no ends yet")
        return self.low, self.high

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        low, high = self.ends
        return (value - low) / (high - low)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most `most + 1` values with their labels: multiples of 1, 2 or 5 times a power of 10.

        A logarithmic axis has 1, 2 and 5 in each decade, or as few powers of 10 as fit.
        """
        low, high = self.ends
        if self.is_log:
            return [(value, f"{10**value:.1g}") for value in _log_ticks(low, high, most)]
        step = _step(low, high, most, self.is_whole)
        return [(value, self._label(value, step)) for value in _multiples(low, high, step)]

    def _label(self, value: float, step: float) -> str:
        if self.is_share:
            value, step = 100 * value, 100 * step
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if decimals > MOST_DECIMALS:
            return f"{value:.3g}"
        return f"{value + 0.0:,.{decimals}f}{' %' if self.is_share else ''}"


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [multiple * step for multiple in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Logarithms to base 10."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    every = [decade + math.log10(digit) for decade in decades for digit in (1, 2, 5)]
    within = [value for value in every if low - 1e-9 <= value <= high + 1e-9]
    if len(within) <= most + 1:
        return within
    return _multiples(low, high, _step(low, high, most, whole=True))


def _step(low: float, high: float, most: int, whole: bool) -> float:
    """Heckbert, "Nice numbers for graph labels" (Graphics Gems, 1990)."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * (1 - 1e-9))
    return max(1.0, step) if whole else step


def text_width(text: str, font_pixels: float = FONT_PIXELS) -> float:
    """An estimate in pixels: charts are drawn without knowing the reader's font."""
    return CHARACTER_WIDTH * font_pixels * len(text)


def shortened(text: str, characters: int) -> str:
    """With an ellipsis in place of what is too long."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
