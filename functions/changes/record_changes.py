"""The use case behind the table's stream: history, notices and counters, each change once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from changes.row_changes import RowChange, counts_by_day, readable_changes, replaced
from pipeline.errors import TransientError
from pipeline.records import Record

logger = logging.getLogger(__name__)


class Journal(Protocol):
    """The store of history and counters."""

    def mark(self, shard: str) -> str: ...
    def count(
        self, shard: str, marks: tuple[str, str], days: Mapping[str, Counter[str]], now: datetime
    ) -> None: ...
    def keep(self, record: Record) -> None: ...
    def erase(self, image: str) -> None: ...


class Notices(Protocol):
    """Sends messages about new answers."""

    def send(self, records: Sequence[Record]) -> None: ...


@dataclass(frozen=True, slots=True)
class RecordChanges:
    """The adapters of the use case.

    Attributes:
        notices: None if no rule is set.
        on_left_out: called for each notice that cannot be sent.
    """

    journal: Journal
    notices: Notices | None
    now: Callable[[], datetime]
    on_left_out: Callable[[], None]

    def run(self, shard: str, events: Sequence[Mapping[str, Any]]) -> int:
        """Records what happened to rows; returns how many changes were new.

        Lambda delivers a shard's changes in order and at least once: after a failure again, and
        cut into other batches. The shard's mark says up to which change everything is done. It
        moves together with the counters; what comes before it may be repeated without harm, but
        a notice may come twice. One that cannot be sent is logged and left out.

        Raises:
            TransientError: a service is busy, or another call recorded the same changes.
        """
        mark = self.journal.mark(shard)
        changes = [each for each in readable_changes(events) if each.sequence > mark]
        if not changes:
            return 0
        history = replaced(changes)
        for image in history.erased:
            self.journal.erase(image)
        for record in history.records:
            self.journal.keep(record)
        self._tell(changes)
        last = max(each.sequence for each in changes)
        self.journal.count(shard, (mark, last), counts_by_day(changes), self.now())
        return len(changes)

    def _tell(self, changes: Sequence[RowChange]) -> None:
        """Sends notices. A busy topic is an error, because the changes are not delivered again
        later. A refusal is not, because it would hold up the shard's counters for a day.
        """
        if self.notices is None:
            return
        try:
            self.notices.send([each for change in changes if (each := change.new_answer)])
        except TransientError:
            raise
        except Exception as error:
            logger.exception("a notice is left out", extra={"error": type(error).__name__})
            self.on_left_out()
