"""Kills of functions and of the model's server, restarts of the cloud, events that come twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from bench.soak.flood import duplicate
from imagedrop.target import Target
from localcloud.cloud import Cloud
from pipeline.events import utc_text

WORKER, SERVER = "a function's worker", "the model's server"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done to the running system, at a time (UTC, ISO 8601)."""

    kind: str
    at: str


@dataclass(slots=True)
class Disturbance:
    """Everything that goes wrong on purpose.

    Attributes:
        running: the cloud as it is now; a restart puts another one in its place.
    """

    running: Cloud
    target: Target
    choose: random.Random
    events: list[Event] = field(default_factory=list)

    def note(self, kind: str) -> None:
        self.events.append(Event(kind, utc_text(datetime.now(UTC))))

    def kill(self, what: str) -> bool:
        """Kills (-9) a worker of a function, or the model's server; whether there was one."""
        root = "emulator" if what == WORKER else "SageMaker"
        found = [
            process
            for each in self.running.processes
            if root in each.name
            for process in _children(each.pid)
        ]
        if not found:
            return False
        with suppress(psutil.NoSuchProcess):
            self.choose.choice(found).kill()
            self.note(f"kill -9 of {what}")
        return True

    def send_again(self) -> int:
        """Events of some rows once more, and older ones; how many."""
        dynamodb, table = (
            self.target.client("dynamodb"),
            self.target.outputs["PredictionsTableName"],
        )
        sent = 0
        with suppress(ClientError, BotoCoreError):
            page: dict[str, Any] = dynamodb.scan(TableName=table, Limit=200)
            rows = [each for each in page["Items"] if each["key"]["S"].startswith("incoming/soak/")]
            for row in self.choose.sample(rows, min(10, len(rows))):
                if row["status"]["S"] != "DELETED":
                    duplicate(self.target, row, older=self.choose.random() < 0.5)
                    sent += 1
        return sent


class Every(threading.Thread):
    """Repeats an action until it is stopped."""

    def __init__(self, seconds: float, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._seconds, self._work = seconds, work
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(self._seconds):
            self._work()


def _children(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def wait_until(check: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(1.0)
    return True
