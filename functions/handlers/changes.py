"""``ChangesFunction``: the table's stream in; history, counters and notices out."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from changes.notice_topic import NoticeTopic
from changes.notices import Rule
from changes.record_changes import RecordChanges
from handlers import wiring
from handlers.measuring import count, metrics
from pipeline.clients import client

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Records a shard's changes; keeps no state of the window, which only names the shard."""
    # Only an event of a window names its shard. The emulator has no windows, and one shard.
    records = event["Records"]
    new = record_changes().run(event.get("shardId", "only"), records)
    logger.info("changes", extra={"received": len(records), "new": new})
    return {"state": {}}


@cache
def record_changes() -> RecordChanges:
    return RecordChanges(wiring.journal_table(), notices(), lambda: datetime.now(UTC), left_out)


def notices() -> NoticeTopic | None:
    """Also returns None for an unreadable rule, so that history and counters continue."""
    settings = wiring.settings
    if not settings.notice_rule:
        return None
    try:
        rule = Rule.parse(settings.notice_rule)
    except ValueError as error:
        logger.error("NoticeRule cannot be read", extra={"error": str(error)})
        left_out()
        return None
    return NoticeTopic(client("sns"), settings.notice_topic_arn, rule)


def left_out() -> None:
    """Writes the metric of NoticesLeftOutAlarm; a function without any says nothing."""
    count({"NoticesLeftOut": 1})
    metrics.flush_metrics()
