"""Estimates the cost of what follows each new row: history, and counters by day."""

from __future__ import annotations

from imagedrop.estimates import prices
from imagedrop.estimates.stack import CHANGES_BATCH_ROWS

# Assumed: a transaction costs double, for the shard's mark and a day's counters of up to 5 kB.
CHANGES_BATCH_WRITES = 12
# Assumed: a tenth of a second with 512 MB.
CHANGES_CALL_GB_SECONDS = 0.05


def changes_cost(rows: float) -> float:
    """Returns the dollars of recording new rows from the table's stream, in full batches."""
    batches = rows / CHANGES_BATCH_ROWS
    calls = batches * CHANGES_CALL_GB_SECONDS * prices.LAMBDA_GB_SECOND.dollars
    millions = CHANGES_BATCH_WRITES * prices.TABLE_MILLION_WRITES.dollars
    return calls + batches / 1e6 * (millions + prices.LAMBDA_MILLION_REQUESTS.dollars)
