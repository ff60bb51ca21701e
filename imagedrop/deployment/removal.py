"""Removes a stack, the models of promotions, and on request the data that it left.

Each step may be repeated: a removal that was interrupted continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.deployment.account import Clients
from imagedrop.deployment.inventory import Inventory, Kept, Kind
from imagedrop.deployment.stacks import Stack
from pipeline.adapters.service_errors import error_code
from registry.model_registry import ModelRegistry

DELETE_BATCH = 1000  # DeleteObjects takes no more
# The longest that KMS allows: a key that is missed can be restored for a month.
KEY_WAITING_DAYS = 30
# Error codes for things that are already gone. SageMaker has no specific code for them.
_GONE = frozenset(
    {"NoSuchBucket", "ResourceNotFoundException", "ResourceNotFound", "NotFoundException"}
)


@dataclass(slots=True)
class Removal:
    """Removes what an inventory found.

    Attributes:
        on_step: called with a line of text whenever something begins or advances.
        problems: failed removals, with AWS's reason.
    """

    clients: Clients
    stack_name: str
    inventory: Inventory
    on_step: Callable[[str], None]
    problems: list[str] = field(default_factory=list)

    def remove(self, *, data: bool) -> bool:
        """Removes the stack and, with `data`, everything that it keeps; True when all is gone.

        A stack that cannot be deleted still uses its data, so these are left alone then.
        """
        if not self._remove_stack():
            return False
        self._remove_promoted()
        for each in self.inventory.kept if data else []:
            if each.kind is Kind.KEY and self.problems:
                # The remaining data would be unreadable without it.
                self.problems.append(f"{each.kind} {each.name}: kept for what could not be removed")
                continue
            self._attempt(f"{each.kind} {each.name}", partial(self._remove, each))
        return not self.problems

    def _remove_stack(self) -> bool:
        if self.inventory.status is None:
            return True
        stack = Stack(self.clients("cloudformation"), self.stack_name)
        last = ""
        for last in stack.delete():
            self.on_step(f"stack {self.stack_name}: {last}")
        if last == "DELETE_FAILED":
            self.problems += [f"{each.resource}: {each.reason}" for each in stack.failures()]
            return False
        return True

    def _remove_promoted(self) -> None:
        sagemaker = self.clients("sagemaker")
        for name in self.inventory.shadow_endpoints:
            self._attempt(f"endpoint {name}", partial(sagemaker.delete_endpoint, EndpointName=name))
        for name in self.inventory.promoted_configs:
            self._attempt(
                f"endpoint configuration {name}",
                partial(sagemaker.delete_endpoint_config, EndpointConfigName=name),
            )
        for name in self.inventory.promoted_models:
            self._attempt(
                f"SageMaker model {name}", partial(sagemaker.delete_model, ModelName=name)
            )

    def _attempt(self, title: str, action: Callable[[], object]) -> None:
        """Runs one removal; records a refusal and lets the others continue."""
        self.on_step(title)
        try:
            action()
        except (ClientError, BotoCoreError) as error:  # a waiter's error is of the second kind
            if not (isinstance(error, ClientError) and error_code(error) in _GONE):
                self.problems.append(f"{title}: {error}")

    def _remove(self, kept: Kept) -> None:
        match kept.kind:
            case Kind.BUCKET:
                self._remove_bucket(kept.name)
            case Kind.TABLE:
                self._remove_table(kept.name)
            case Kind.MODEL_GROUP:
                self._remove_model_group(kept.name)
            case Kind.KEY:
                self.clients("kms").schedule_key_deletion(
                    KeyId=kept.name, PendingWindowInDays=KEY_WAITING_DAYS
                )

    def _remove_bucket(self, bucket: str) -> None:
        s3, deleted = self.clients("s3"), 0
        for batch in _versions(s3, bucket):
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            refused = answer.get("Errors", [])
            deleted += len(batch) - len(refused)
            self.on_step(f"bucket {bucket}: {deleted:,} versions deleted")
            self.problems += [f"{bucket}/{each['Key']}: {each['Code']}" for each in refused]
        for upload in _unfinished_uploads(s3, bucket):
            s3.abort_multipart_upload(Bucket=bucket, **upload)
        s3.delete_bucket(Bucket=bucket)

    def _remove_table(self, table: str) -> None:
        dynamodb = self.clients("dynamodb")
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=table)  # until it is ACTIVE again
        dynamodb.delete_table(TableName=table)

    def _remove_model_group(self, group: str) -> None:
        sagemaker = self.clients("sagemaker")
        # Packages of other tools stay; SageMaker then refuses to delete the group, a named problem.
        for package in list(ModelRegistry(sagemaker).packages_of(group)):
            sagemaker.delete_model_package(ModelPackageName=package.arn)
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)


def _versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    """Yields every version and delete marker, in batches that DeleteObjects takes."""
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": DELETE_BATCH}
    )
    for page in pages:
        batch = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
        ]
        if batch:
            yield batch


def _unfinished_uploads(s3: Any, bucket: str) -> Iterator[dict[str, str]]:
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    for each in (each for page in pages for each in page.get("Uploads", [])):
        yield {"Key": each["Key"], "UploadId": each["UploadId"]}
