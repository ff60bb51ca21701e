"""The results of a run: its report, and every image by name in its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bulk.ledger import Fate
from bulk.run import RunFiles
from bulk.work_bucket import WorkBucket
from imagedrop.bulk.comparison_page import Pictures
from imagedrop.bulk.report_page import report_page
from imagedrop.errors import UserError
from imagedrop.estimates.finished_run import run_cost
from imagedrop.target import Target


@dataclass(frozen=True, slots=True)
class RunReports:
    """The reports of one stack's runs."""

    work: WorkBucket

    def find(self, run: str) -> dict[str, Any] | None:
        """Returns the report with its estimated cost; None until the run completes a report."""
        report: dict[str, Any] | None = self.work.read_json(RunFiles(run).report_json)
        if report is None or "estimated_cost_dollars" in report:  # as runs of 0.1 wrote it
            return report
        return report | {"estimated_cost_dollars": run_cost(report)}

    def read(self, run: str) -> dict[str, Any]:
        """Returns the report with its estimated cost.

        Raises:
            UserError: there is no report.
        """
        report = self.find(run)
        if report is None:
            raise UserError(
                f"There is no report of {run}: it has not ended, or there is no such run.",
                f"See its progress with: imagedrop bulk status {run}",
            )
        return report

    def page(self, run: str, picture: Pictures) -> str:
        """Returns the report as HTML.

        Args:
            picture: makes the thumbnails of a comparison.

        Raises:
            UserError: there is no report.
        """
        report = self.read(run)
        return report_page(report, report["estimated_cost_dollars"], picture)

    def address(self, run: str) -> str:
        return f"s3://{self.work.name}/{RunFiles(run).report_json}"

    def entries(self, run: str, fates: set[Fate]) -> Iterator[dict[str, Any]]:
        """Yields the lines of the ledger, chunk by chunk; while a run works, those so far.

        Raises:
            UserError: the run has recorded nothing, or its work files have expired.
        """
        ledgers = RunFiles(run).ledgers
        empty = True
        for key in self.work.keys(ledgers):
            empty = False
            for line in self.work.read_lines(key):
                if line["fate"] in fates:
                    yield line
        if empty:
            raise UserError(
                f"There is no ledger of {run}: nothing is recorded yet, or it has expired.",
                f"See how far it is with: imagedrop bulk status {run}",
            )


def run_reports(target: Target) -> RunReports:
    """Returns the reports in the stack's work bucket.

    Raises:
        UserError: the stack is from before bulk runs.
    """
    return RunReports(work_bucket(target))


def work_bucket(target: Target) -> WorkBucket:
    """Returns the stack's bucket of work files and reports.

    Raises:
        UserError: the stack is from before bulk runs.
    """
    return WorkBucket(target.client("s3"), target.output("WorkBucketName", "bulk workflow"))
