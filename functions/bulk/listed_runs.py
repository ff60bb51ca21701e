"""Bulk runs for people to look at: newest first, each with its progress or its report.

An execution of the workflow is named after its run and its attempt: ``RUN-1``, ``RUN-2`` after a
resume. Step Functions keeps executions for 90 days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bulk.progress import Progress
from bulk.run import RunFiles
from bulk.work_bucket import WorkBucket
from pipeline.adapters.service_errors import translate_errors
from pipeline.events import utc_text

# Step Functions' largest page; one request.
MAX_EXECUTIONS = 1000
# Of each run that has no report yet; a direct run has a file for each image.
MOST_PAGES = 20
RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """The runs of one state machine.

    Attributes:
        progress_of: counts a run's progress from its work files, up to a number of pages of them.
    """

    stepfunctions: Any
    state_machine_arn: str
    work: WorkBucket
    progress_of: Callable[[str, int], Progress]

    def newest(self) -> list[dict[str, Any]]:
        """Returns each run once, newest first; those that run now with their progress.

        Raises:
            TransientError: a service is busy or did not answer.
        """
        runs = self._runs()
        for run in runs:
            if run["status"] == RUNNING:
                run["progress"] = asdict(self.progress_of(run["name"], MOST_PAGES))
        return runs

    def one(self, name: str) -> dict[str, Any] | None:
        """Returns a run with its progress, or its report when it has one; None if it is unknown.

        Raises:
            TransientError: a service is busy or did not answer.
        """
        for run in self._runs():
            if run["name"] == name:
                report = self.work.read_json(RunFiles(name).report_json)
                if report is None:
                    return run | {"progress": asdict(self.progress_of(name, MOST_PAGES))}
                return run | {"model": report["model"], "report": report}
        return None

    def _runs(self) -> list[dict[str, Any]]:
        with translate_errors():
            page = self.stepfunctions.list_executions(
                stateMachineArn=self.state_machine_arn, maxResults=MAX_EXECUTIONS
            )
        runs: dict[str, dict[str, Any]] = {}
        for each in page["executions"]:
            name, dash, attempt = each["name"].rpartition("-")
            if dash and attempt.isdigit() and name not in runs:
                started_at = utc_text(each["startDate"])
                runs[name] = {"name": name, "status": each["status"], "started_at": started_at}
        return list(runs.values())
