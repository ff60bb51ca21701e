"""``DriftFunction``: once a day, whether yesterday's drops differ from the days before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from changes.drift import days_until, drift, first_counted
from handlers import wiring
from handlers.measuring import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Writes how many properties drift to the metric of ``DriftAlarm``, and each to the log."""
    judged = days_until(datetime.now(UTC) - timedelta(days=1), 1)
    rows = list(drift(wiring.journal_table().drops(first_counted(judged)), judged))
    drifting = [each for each in rows if each["drifts"]]
    for each in drifting:
        logger.warning("drift", extra=each)
    logger.info("compared", extra={"day": judged[0], "properties": len(rows)})
    metrics.add_metric("DriftingProperties", MetricUnit.Count, len(drifting))
