"""Renders a report: one HTML file without scripts, with nothing from elsewhere.

Every template extends `page.html`, which brings the stylesheet. Jinja2 escapes every value, so that
a file name or a label is always shown as text.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training.reports import charts, numbers

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
FILTERS = ("number", "percent", "scientific", "short", "size")


def render(template: Path, **values: Any) -> str:
    """The whole HTML file.

    Characters that UTF-8 cannot hold, of file names in another encoding, are spelled out.

    Args:
        template: a Jinja2 file that extends `page.html` and sets `title`.
        values: what the template names.

    Raises:
        jinja2.TemplateError: the template names a value that is missing.
    """
    page = _environment(template.parent).get_template(template.name).render(values)
    return page.encode("utf-8", "backslashreplace").decode()


@lru_cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (HERE / "style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)  # noqa: S704 - our own file  # nosec B704
    environment.globals["bar_chart"] = charts.bar_chart
    environment.tests["numeric"] = _is_number
    for name in FILTERS:
        environment.filters[name] = getattr(numbers, name)
    environment.filters["breakable"] = charts.breakable
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment


def _is_number(value: object) -> bool:
    """Returns whether a table aligns the value to the right."""
    return isinstance(value, int | float | numbers.Number) and not isinstance(value, bool)
