"""SageMaker's Model Registry: a group per model name, a package per version, with its lineage.

The shapes are those of CreateModelPackage
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from archive.card import ModelCard
from archive.reading import ModelArchive
from pipeline.adapters.service_errors import error_code, translate_errors
from registry.models_bucket import StoredModel

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# Marks the groups of this project in a listing of all the account's groups.
GROUP_DESCRIPTION = "Image classifiers for imagedrop: "
# The types that the serving application accepts (model/serving/requests.py is not in the bundle).
CONTENT_TYPES = (
    "application/x-image",
    "application/x-npy",
    "application/x-webp-batch",
    "image/avif",
    "image/bmp",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/jpg",
    "image/png",
    "image/webp",
)
GROUP_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")

MAX_METADATA = 50  # CustomerMetadataProperties
MAX_METADATA_KEY_CHARACTERS, MAX_METADATA_CHARACTERS = 128, 256
MAX_TOKEN_CHARACTERS = 36
_NOT_IN_METADATA = re.compile(r"[^\w .:/=+\-@]")


class RegistrationError(Exception):
    """The registry cannot hold this model. The message says why."""


class Approval(StrEnum):
    """SageMaker's approval status of a model package."""

    PENDING = "PendingManualApproval"
    APPROVED = "Approved"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """One version of a model in the registry.

    Attributes:
        number: the registry's number, counted from 1 in each group.
        lineage: `CustomerMetadataProperties`, texts by name.
    """

    arn: str
    name: str
    version: str
    number: int
    approval: Approval
    created_at: datetime
    model_data_url: str
    lineage: Mapping[str, str]

    @property
    def identity(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def archive_sha256(self) -> str:
        return self.lineage["archive_sha256"]


class ModelRegistry:
    """The registry of one account and region.

    Every method raises TransientError when SageMaker is busy or did not answer, and ClientError
    when it refuses, most often for a missing permission.
    """

    def __init__(self, sagemaker: SageMakerClient) -> None:
        self._sagemaker = sagemaker

    def register(
        self,
        archive: ModelArchive,
        stored: StoredModel,
        serving_image: str,
        made_by: str | None = None,
    ) -> tuple[ModelPackage, bool]:
        """Registers an archive as pending; returns its package, and whether that is new.

        Args:
            serving_image: the container image that serves it.
            made_by: ARN of the training job.

        Raises:
            RegistrationError: SageMaker does not allow the name, or another archive has this
                identity.
        """
        _require_names(archive.card)
        card = archive.card
        self._make_group(card.name)
        for package in self.packages_of(card.name):
            if package.version != card.version:
                continue
            if package.archive_sha256 != archive.sha256.hex():
                raise RegistrationError(
                    f"{card.identity} is already the name of another archive, "
                    f"{package.model_data_url}: choose another version"
                )
            return package, False
        request = package_request(archive, stored, serving_image, made_by)
        with translate_errors():
            arn = self._sagemaker.create_model_package(**request)["ModelPackageArn"]
        return self._describe(arn), True

    def packages(self) -> Iterator[ModelPackage]:
        """Yields every version of every model, by name, the newest version first."""
        with translate_errors():
            pages = self._sagemaker.get_paginator("list_model_package_groups").paginate(
                SortBy="Name", SortOrder="Ascending"
            )
            groups = [
                group["ModelPackageGroupName"]
                for page in pages
                for group in page["ModelPackageGroupSummaryList"]
                if group.get("ModelPackageGroupDescription", "").startswith(GROUP_DESCRIPTION)
            ]
        for group in groups:
            yield from self.packages_of(group)

    def packages_of(self, name: str) -> Iterator[ModelPackage]:
        """Yields the versions of one model, the newest first; none if there is no such model."""
        if not self._has_group(name):
            return
        with translate_errors():
            pages = self._sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=name, SortBy="CreationTime", SortOrder="Descending"
            )
            arns = [
                package["ModelPackageArn"]
                for page in pages
                for package in page["ModelPackageSummaryList"]
            ]
        for arn in arns:
            package = self._describe(arn)
            if package.version:  # packages made by other tools have none
                yield package

    def decide(self, package: ModelPackage, approval: Approval, why: str) -> None:
        """Sets the approval status of a package, with the reason."""
        with translate_errors():
            self._sagemaker.update_model_package(
                ModelPackageArn=package.arn,
                ModelApprovalStatus=approval.value,
                ApprovalDescription=why,
            )

    def _make_group(self, name: str) -> None:
        if not self._has_group(name):
            with translate_errors():
                self._sagemaker.create_model_package_group(
                    ModelPackageGroupName=name,
                    ModelPackageGroupDescription=f"{GROUP_DESCRIPTION}{name}",
                )

    def _has_group(self, name: str) -> bool:
        with translate_errors():
            try:
                self._sagemaker.describe_model_package_group(ModelPackageGroupName=name)
            except ClientError as error:
                # SageMaker has no 404: for a well-formed name this code means that it is missing.
                if error_code(error) != "ValidationException":
                    raise
                return False
        return True

    def _describe(self, arn: str) -> ModelPackage:
        with translate_errors():
            found: Any = self._sagemaker.describe_model_package(ModelPackageName=arn)
        containers = found.get("InferenceSpecification", {}).get("Containers", [{}])
        lineage = found.get("CustomerMetadataProperties", {})
        return ModelPackage(
            arn=arn,
            name=found["ModelPackageGroupName"],
            version=lineage.get("version", ""),
            number=found["ModelPackageVersion"],
            approval=Approval(found["ModelApprovalStatus"]),
            created_at=found["CreationTime"],
            model_data_url=containers[0].get("ModelDataUrl", ""),
            lineage=lineage,
        )


def _require_names(card: ModelCard) -> None:
    if not GROUP_NAME.fullmatch(card.name):
        raise RegistrationError(
            f"the name {card.name!r} may have at most 63 characters, only letters, digits "
            "and hyphens between them"
        )
    if _metadata_text(card.version) != card.version:
        raise RegistrationError(
            f"the version {card.version!r} may have at most {MAX_METADATA_CHARACTERS} "
            "characters, only letters, digits, spaces and _.:/=+-"
        )


def package_request(
    archive: ModelArchive, stored: StoredModel, serving_image: str, made_by: str | None = None
) -> dict[str, Any]:
    """Returns the arguments of CreateModelPackage: container, origin and metrics."""
    card = archive.card
    return {
        # EventBridge may deliver an event twice: with the token, both make one package.
        "ClientToken": archive.sha256.hex()[:MAX_TOKEN_CHARACTERS],
        "ModelPackageGroupName": card.name,
        "ModelPackageDescription": card.identity,
        "ModelApprovalStatus": Approval.PENDING.value,
        "InferenceSpecification": {
            "Containers": [{"Image": serving_image, "ModelDataUrl": stored.model_data_url}],
            "SupportedContentTypes": list(CONTENT_TYPES),
            "SupportedResponseMIMETypes": ["application/json"],
        },
        # The card has the metrics, as JSON in this project's form.
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": stored.model_card_url,
                }
            }
        },
        "MetadataProperties": {"CommitId": str(card.training_run.get("code_revision", "unknown"))}
        | ({"GeneratedBy": made_by} if made_by else {}),
        "CustomerMetadataProperties": lineage(archive),
    }


def lineage(archive: ModelArchive) -> dict[str, str]:
    """Returns a card's fields for the registry, as short texts; long values are cut."""
    card = archive.card
    run = dict(card.training_run)
    texts = {
        "version": card.version,
        "archive_sha256": archive.sha256.hex(),
        "weights_sha256": card.weights_sha256,
        "labels": len(card.labels),
        "data_manifest_sha256": run.pop("data_manifest_sha256", None),
        "code_revision": run.pop("code_revision", None),
        **_scalars("metrics", card.metrics),
        **_scalars("hyperparameters", run.pop("hyperparameters", {})),
        **_scalars("training", run),
    }
    shown = {
        name[:MAX_METADATA_KEY_CHARACTERS]: _metadata_text(value)
        for name, value in texts.items()
        if value not in (None, "")
    }
    return dict(list(shown.items())[:MAX_METADATA])


def _scalars(prefix: str, value: object) -> dict[str, object]:
    """Returns `{"lr": 0.01}` as `{"hyperparameters.lr": 0.01}`, without lists and objects."""
    if not isinstance(value, Mapping):
        return {}
    return {
        _NOT_IN_METADATA.sub("_", f"{prefix}.{name}"): each
        for name, each in value.items()
        if isinstance(each, str | int | float)
    }


def _metadata_text(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _NOT_IN_METADATA.sub("_", text)[:MAX_METADATA_CHARACTERS]
