"""The plot by rate of docs/growth.md, and its answers: a million, a hundred million, 10,000/s.

    .venv/bin/python -m bench.growth_charts     writes the tables and draws growth-rate.svg

Simulated with `imagedrop.growth`; the validation's plot is drawn by ``python -m bench.growth``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import escape

from imagedrop.errors import UserError
from imagedrop.estimates.bulk_run import RunSettings, duration
from imagedrop.growth.drop import simulate
from imagedrop.growth.figures import known
from imagedrop.growth.limits import INSTANCE, Load, Stack, limits
from imagedrop.growth.plan import Plan, bulk_with, drop_with, plan_bulk, plan_drop
from training.reports.axes import Axis
from training.reports.charts import HEIGHT, WIDTH, Series, xy_chart

PAGE = Path("docs/growth.md")
IMAGES = Path("docs/images")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LINE = 18
MILLION = 1_000_000
RATES = (10, 30, 100, 300, 1_000, 2_000, 4_000, 7_000, 10_000)


def draw(path: Path, series: Sequence[Series], x_axis: Axis, y_axis: Axis) -> None:
    """Writes a chart with its legend as an SVG file that needs no stylesheet."""
    found = re.search(r"<svg [^>]*>(.*?)</svg>", xy_chart(series, x_axis, y_axis), re.DOTALL)
    assert found is not None
    colours = "".join(
        f".s{place}.line{{stroke:{colour};fill:none;stroke-width:2}}.s{place}{{fill:{colour}}}"
        for place, colour in enumerate(COLOURS)
    )
    style = "text{font-family:sans-serif;fill:#444}.grid{stroke:#ddd}.axis{stroke:#888;fill:none}"
    legend = "".join(
        f'<circle cx="14" cy="{HEIGHT + LINE * place + 6}" r="4" class="s{place % len(COLOURS)}"/>'
        f'<text x="26" y="{HEIGHT + LINE * place + 10}" font-size="12">{escape(each.name)}</text>'
        for place, each in enumerate(series)
    )
    height = HEIGHT + LINE * len(series) + 4
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="660">'
        f'<style>{style}{colours}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f"{found[1]}{legend}</svg>\n"
    )


def answers() -> Iterator[str]:
    """The table of a million and a hundred million images, by deadline."""
    yield "| images | deadline | way | parameters | time | $ | limit |"
    yield "|" + "---|" * 7
    for images in (MILLION, 100 * MILLION):
        start = f"| {images // MILLION} million | as deployed |"
        yield f"{start} drop | {_cells(drop_with(Load(images=images), Stack(), known()))} |"
        run = RunSettings(chunk_images=1_000 if images == MILLION else 10_000)
        yield f"{start} bulk | {_cells(bulk_with(images, run, 5, known()))} |"
    for images, deadline in (
        (MILLION, None),
        (MILLION, "2h"),
        (MILLION, "10min"),
        (100 * MILLION, None),
        (100 * MILLION, "24h"),
    ):
        seconds = {None: None, "2h": 7_200.0, "10min": 600.0, "24h": 86_400.0}[deadline]
        for way, plan in (("drop", plan_drop), ("bulk", plan_bulk)):
            start = f"| {images // MILLION} million | {deadline or 'none'} | {way} |"
            try:
                yield f"{start} {_cells(plan(Load(images=images), seconds, known()))} |"
            except UserError as error:
                yield f"{start} none: {error} | | | |"


def _cells(found: Plan) -> str:
    words = [f"{name}={value}" for name, value in found.parameters.items()]
    told = " ".join([*words, *found.options])
    lost = f"; **{found.expired / 1e6:.1f} million expire in the queue**" if found.expired else ""
    return (
        f"`{told}` | {duration(found.seconds)} | {found.total_dollars:,.2f} | "
        f"{found.limit.resource}, {found.limit.images_per_second:,.0f}/s{lost}"
    )


def at_ten_thousand() -> Iterator[str]:
    """The limits in order, when 10,000 images come each second."""
    load = Load(images=36 * MILLION, images_per_second=10_000)
    yield "| stack | resource | images/s | raise |"
    yield "|" + "---|" * 4
    for stack in (
        Stack(),
        Stack(classify_concurrency=200),
        Stack(classify_concurrency=200, endpoint_capacity=INSTANCE),
    ):
        words = f"`ClassifyConcurrency={stack.classify_concurrency}`, `{stack.endpoint_capacity}`"
        for each in limits(load, stack, known()):
            yield f"| {words} | {each.resource} | {each.images_per_second:,.0f} | {each.remedy} |"


def by_rate() -> list[Series]:
    """Seconds from drop to row, 99 of 100, of ten minutes at each rate."""
    made = []
    for concurrency in (5, 20, 80, 200):
        points = []
        for rate in RATES:
            load = Load(images=600 * rate, images_per_second=rate)
            outcome = simulate(load, Stack(classify_concurrency=concurrency), known())
            points.append((math.log10(rate), math.log10(outcome.percentile(99))))
        made.append(Series(f"ClassifyConcurrency={concurrency}, serverless", points))
    return made


def with_table(page: str, lines: Sequence[str]) -> str:
    """Returns the page with this table in the place of the one that has the same headings."""
    start = page.index(lines[0])
    end = page.index("\n\n", start)
    return page[:start] + "\n".join(lines) + page[end:]


def main() -> None:
    page = PAGE.read_text()
    for table in (answers(), at_ten_thousand()):
        page = with_table(page, list(table))
    PAGE.write_text(page)
    x_axis = Axis("images dropped a second, for ten minutes", is_log=True)
    draw(
        IMAGES / "growth-rate.svg", by_rate(), x_axis, Axis("s from drop to row, p99", is_log=True)
    )


if __name__ == "__main__":
    main()
