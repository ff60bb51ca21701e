"""A stack as CloudFormation describes it: its state, its resources, its failures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import error_code

POLL_SECONDS = 3.0
# A first deployment ended in one of these: the stack can only be deleted.
BROKEN = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
# Failures that another failure caused.
_CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failure:
    """A resource that failed, and AWS's message."""

    resource: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack; `name` is its physical id."""

    logical_id: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack by name."""

    cloudformation: Any
    name: str

    def describe(self) -> dict[str, Any] | None:
        """Returns CloudFormation's description; None when there is no such stack.

        Raises:
            ClientError: it may not be read.
        """
        try:
            found = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            # CloudFormation answers ValidationError for an unknown name, and a name has been
            # validated by then: samconfig.toml's and the template's rules are stricter.
            if error_code(error) == "ValidationError":
                return None
            raise
        return dict(found[0]) if found else None

    def status(self) -> str | None:
        """Returns the stack's status; None when there is no such stack."""
        found = self.describe()
        return None if found is None else str(found["StackStatus"])

    def resources(self) -> list[Resource]:
        """Lists the stack's resources, without those that were never created or are deleted."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=self.name
        )
        return [
            Resource(
                each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", "")
            )
            for page in pages
            for each in page["StackResourceSummaries"]
            if each["ResourceStatus"] != "DELETE_COMPLETE" and each.get("PhysicalResourceId")
        ]

    def failures(self) -> list[Failure]:
        """Returns the failures of the last operation, oldest first."""
        found = [
            Failure(event["LogicalResourceId"], event.get("ResourceStatusReason", "no reason"))
            for event in self._last_operation()
            if event["ResourceStatus"].endswith("_FAILED")
        ]
        first_causes = [each for each in found if _CANCELLED not in each.reason.lower()]
        return (first_causes or found)[::-1]

    def _last_operation(self) -> Iterator[dict[str, Any]]:
        """Yields the events of the resources since the last operation began, newest first."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(
            StackName=self.name
        )
        for event in (each for page in pages for each in page["StackEvents"]):
            is_stack = event["LogicalResourceId"] == self.name
            begins = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
            if is_stack and event["ResourceStatus"] in begins:
                return
            if not is_stack:
                yield event

    def delete(self) -> Iterator[str]:
        """Deletes the stack, and yields its status until it is gone or the deletion has failed."""
        found = self.describe()
        if found is None:
            return
        self.cloudformation.delete_stack(StackName=found["StackId"])
        while True:
            # By its id, which CloudFormation knows after the deletion too.
            status = Stack(self.cloudformation, found["StackId"]).status()
            if status in (None, "DELETE_COMPLETE"):
                return
            yield status
            if status == "DELETE_FAILED":
                return
            time.sleep(POLL_SECONDS)
