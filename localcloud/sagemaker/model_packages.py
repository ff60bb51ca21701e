"""The model registry: one group of model packages a model, one package a version."""

from __future__ import annotations

import asyncio
from typing import Any

from localcloud.sagemaker.errors import ServiceError, not_emulated, validation_exception
from localcloud.sagemaker.listing import list_page
from localcloud.sagemaker.resources import Resources
from localcloud.sagemaker.state import Record, State, now
from localcloud.sagemaker.storage import Storage, split_s3_uri

_GROUP_SUMMARY = (
    *("ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription"),
    *("CreationTime", "ModelPackageGroupStatus"),
)
_PACKAGE_SUMMARY = (
    *("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn"),
    *("ModelPackageDescription", "CreationTime", "ModelPackageStatus", "ModelApprovalStatus"),
)
# Members that UpdateModelPackage can change here; the others are refused as not emulated.
_CHANGEABLE = ("ModelApprovalStatus", "ApprovalDescription")
_PENDING = "PendingManualApproval"


class ModelPackageGroups(Resources):
    """CreateModelPackageGroup, DescribeModelPackageGroup, ListModelPackageGroups."""

    noun, kind, words = "ModelPackageGroup", "model-package-group", "model package group"

    def __init__(self, state: State) -> None:
        super().__init__(state, state.model_package_groups)

    async def create(self, request: Record) -> Record:
        record = self._add(request, ModelPackageGroupStatus="Completed", CreatedBy={})
        return {"ModelPackageGroupArn": record["ModelPackageGroupArn"]}

    async def list_groups(self, request: Record) -> Record:
        page = list_page(self._records.values(), request, noun=self.noun, members=_GROUP_SUMMARY)
        return _as_summary_list(page, self.noun)

    def _already_exists(self, arn: str) -> ServiceError:
        return validation_exception(f"Model Package Group already exists: {arn}")

    def _not_found(self, name: str) -> ServiceError:
        return validation_exception(f"ModelPackageGroup {self._arn(name)} does not exist.")


class ModelPackages:
    """CreateModelPackage, DescribeModelPackage, ListModelPackages, UpdateModelPackage.

    Only packages of a group, which SageMaker numbers from 1 and identifies by their ARN.
    """

    def __init__(self, state: State, groups: ModelPackageGroups, storage: Storage) -> None:
        self._state, self._groups, self._storage = state, groups, storage

    async def create(self, request: Record) -> Record:
        if "ModelPackageGroupName" not in request:
            raise not_emulated("model packages without a group")
        for container in request.get("InferenceSpecification", {}).get("Containers", []):
            await self._require_data(container)
        # After the awaits, so that of two requests with one token the second finds the first.
        group = self._groups.get(request["ModelPackageGroupName"])
        token = request.get("ClientToken")
        for package in self._packages_of(group["ModelPackageGroupName"]):
            if token is not None and package.get("ClientToken") == token:
                return {"ModelPackageArn": package["ModelPackageArn"]}
        record = self._new_record(group, request)
        self._state.model_packages[record["ModelPackageArn"]] = record
        self._state.save()
        return {"ModelPackageArn": record["ModelPackageArn"]}

    async def describe(self, request: Record) -> Record:
        return _description(self._get(request["ModelPackageName"]))

    async def update(self, request: Record) -> Record:
        record = self._get(request["ModelPackageArn"])
        others = set(request) - {"ModelPackageArn", *_CHANGEABLE}
        if others:
            raise not_emulated(f"UpdateModelPackage with {', '.join(sorted(others))}")
        record.update({name: request[name] for name in _CHANGEABLE if name in request})
        record["LastModifiedTime"] = now()
        self._state.save()
        return {"ModelPackageArn": record["ModelPackageArn"]}

    async def list_packages(self, request: Record) -> Record:
        if "ModelPackageGroupName" not in request:
            raise not_emulated("ListModelPackages without a group")
        name = self._groups.get(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        approval = request.get("ModelApprovalStatus")
        packages = [
            # The member that lists are sorted by; a package of a group has its number for a name.
            {**package, "ModelPackageName": f"{package['ModelPackageVersion']:09d}"}
            for package in self._packages_of(name)
            if approval in (None, package["ModelApprovalStatus"])
        ]
        page = list_page(packages, request, noun="ModelPackage", members=_PACKAGE_SUMMARY)
        return _as_summary_list(page, "ModelPackage")

    async def _require_data(self, container: Record) -> None:
        url = container.get("ModelDataUrl")
        if url and not await asyncio.to_thread(self._storage.exists, *split_s3_uri(url)):
            raise validation_exception(f"Could not find model data at {url}.")

    def _new_record(self, group: Record, request: Record) -> Record:
        group_name = group["ModelPackageGroupName"]
        number = 1 + max(
            (each["ModelPackageVersion"] for each in self._packages_of(group_name)), default=0
        )
        created = now()
        return {
            "ModelApprovalStatus": _PENDING,
            **{name: value for name, value in request.items() if name != "Tags"},
            "ModelPackageVersion": number,
            "ModelPackageArn": f"{self._state.identity.arn('model-package', group_name)}/{number}",
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CreatedBy": {},
            "CreationTime": created,
            "LastModifiedTime": created,
        }

    def _packages_of(self, group: str) -> list[Record]:
        packages = self._state.model_packages.values()
        return [each for each in packages if each["ModelPackageGroupName"] == group]

    def _get(self, arn: str) -> Record:
        if arn not in self._state.model_packages:
            raise validation_exception(f"ModelPackage {arn} does not exist.")
        return self._state.model_packages[arn]


def _description(record: Record) -> Record:
    shown = {name: value for name, value in record.items() if name != "ClientToken"}
    # Packages of a group have no name; SageMaker shows the end of the ARN instead.
    return {**shown, "ModelPackageName": record["ModelPackageArn"].rpartition(":")[2]}


def _as_summary_list(page: dict[str, Any], noun: str) -> Record:
    page[f"{noun}SummaryList"] = page.pop(f"{noun}s")
    return page
