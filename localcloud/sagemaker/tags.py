"""AddTags, ListTags, DeleteTags."""

from __future__ import annotations

from collections.abc import Sequence

from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.state import Record, State

Tag = dict[str, str]


class Tags:
    """Tags of resources, by ARN."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, arn: str, tags: Sequence[Tag]) -> None:
        """Remember a new resource, with the tags it was created with (unsaved)."""
        self._state.tags[arn] = list(tags)

    def drop(self, arn: str) -> None:
        """Forget a deleted resource (unsaved)."""
        self._state.tags.pop(arn, None)

    async def add(self, request: Record) -> Record:
        arn = self._known(request["ResourceArn"])
        merged = {tag["Key"]: tag for tag in [*self._state.tags[arn], *request["Tags"]]}
        self._state.tags[arn] = list(merged.values())
        self._state.save()
        return {"Tags": self._state.tags[arn]}

    async def delete(self, request: Record) -> Record:
        arn = self._known(request["ResourceArn"])
        gone = set(request["TagKeys"])
        self._state.tags[arn] = [tag for tag in self._state.tags[arn] if tag["Key"] not in gone]
        self._state.save()
        return {}

    async def list_tags(self, request: Record) -> Record:
        return {"Tags": self._state.tags[self._known(request["ResourceArn"])]}

    def _known(self, arn: str) -> str:
        if arn not in self._state.tags:
            raise ServiceError("ResourceNotFound", f"The resource {arn} was not found.")
        return arn
