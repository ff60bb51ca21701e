"""A version in the registry by the name that a person types."""

from __future__ import annotations

from imagedrop.errors import UserError
from registry.model_registry import ModelPackage, ModelRegistry


def find_package(registry: ModelRegistry, name: str, version: str) -> ModelPackage:
    """Finds a registered model.

    Raises:
        UserError: there is none.
    """
    packages = list(registry.packages_of(name))
    for package in packages:
        if package.version == version:
            return package
    known = ", ".join(each.version for each in packages)
    raise UserError(
        f"There is no {name}@{version} in the registry; versions of {name}: {known or 'none'}.",
        "List all with: imagedrop models. Register one with: imagedrop package FOLDER",
    )
