"""The deployed stack, as the emulator's CloudFormation describes it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from localcloud import aws
from localcloud.processes import LocalCloudError

_DELETE_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.1
# A stack in one of these cannot be updated, only deleted.
_BROKEN_STATUSES = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
_DEPLOYED_STATUSES = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack by its name at one endpoint."""

    endpoint_url: str
    name: str

    def is_deployed(self) -> bool:
        """Whether its last deployment succeeded."""
        return self._status() in _DEPLOYED_STATUSES

    def is_broken(self) -> bool:
        """Whether its first deployment failed, so that it must be deleted before the next one."""
        return self._status() in _BROKEN_STATUSES

    def outputs(self) -> dict[str, str]:
        """Its outputs; empty when there is no such stack."""
        outputs = (self._describe() or {}).get("Outputs", [])
        return {item["OutputKey"]: item["OutputValue"] for item in outputs}

    def delete(self) -> None:
        """Delete it and wait until it is gone.

        Raises:
            LocalCloudError: it is still there after two minutes.
        """
        self._client().delete_stack(StackName=self.name)
        deadline = time.monotonic() + _DELETE_DEADLINE_SECONDS
        while self._status() not in (None, "DELETE_COMPLETE"):
            if time.monotonic() > deadline:
                raise LocalCloudError(f"The stack {self.name} could not be deleted.")
            time.sleep(_POLL_SECONDS)

    def failures(self) -> list[str]:
        """The failures of its last deployment, `logical id: reason`, in order of time."""
        try:
            events = self._client().describe_stack_events(StackName=self.name)["StackEvents"]
        except ClientError:
            return []  # there is no stack: the template itself was refused, as SAM's output says
        found: list[str] = []
        for event in events:  # newest first
            status = event["ResourceStatus"]
            if event["LogicalResourceId"] == self.name:
                if status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                    break
            elif status.endswith("_FAILED"):
                found.append(
                    f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
                )
        return found[::-1]

    def _status(self) -> str | None:
        found = self._describe()
        return None if found is None else str(found["StackStatus"])

    def _describe(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client().describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":  # "does not exist"
                return None
            raise
        return found

    def _client(self) -> Any:
        return aws.client("cloudformation", self.endpoint_url)
