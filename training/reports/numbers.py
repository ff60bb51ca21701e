"""One way to write each kind of number in a report."""

from __future__ import annotations

import math

MISSING = "—"


class Number(str):
    """A formatted number; tables align it to the right."""

    __slots__ = ()


def number(value: float | None, decimals: int = 3) -> Number:
    """With thousands separators; whole numbers without decimals, None as a dash."""
    if value is None or math.isnan(value):
        return Number(MISSING)
    return Number(f"{value:,}" if isinstance(value, int) else f"{value:,.{decimals}f}")


def percent(share: float | None, decimals: int = 1) -> Number:
    """Of a share from 0 to 1: `93.2 %`, with a space that does not break."""
    return Number(MISSING if share is None else f"{100 * share:.{decimals}f}\u00a0%")


def scientific(value: float | None) -> Number:
    """`1.23e-07`, for what spans orders of magnitude."""
    return Number(MISSING if value is None else f"{value:.2e}")


def short(value: object) -> Number:
    """Four significant digits of a float, thousands separators in an int, the rest as it is."""
    formats = {float: ".4g", int: ","}
    return Number(format(value, formats.get(type(value), "")))


def size(byte_count: int) -> Number:
    """In MB of 1,000,000 bytes."""
    return Number(f"{byte_count / 1e6:,.1f} MB")
