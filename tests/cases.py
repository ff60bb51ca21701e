"""How many random cases a test tries."""

from __future__ import annotations

import os


def cases(full: int) -> int:
    """Return `full`, or a fifth of it in `make check`, which sets TEST_CASES=few."""
    return max(1, full // 5) if os.environ.get("TEST_CASES") == "few" else full
