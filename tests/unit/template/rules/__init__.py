"""Rules of the template that linters do not know. A rule yields one line per fault it finds.

Each rule is proven by a seeded fault in ``seeded_faults.yaml`` that it must find.
"""

from tests.unit.template.rules import (
    access,
    api,
    data,
    functions,
    model,
    serving_image,
    watching,
)
from tests.unit.template.rules.registry import RULES

__all__ = ["RULES", "access", "api", "data", "functions", "model", "serving_image", "watching"]
