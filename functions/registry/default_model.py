"""The default model in the models bucket, for CloudFormation's custom resource."""

from __future__ import annotations

import json
from pathlib import Path

from archive.reading import check_archive
from registry.models_bucket import FOLDER_PREFIX, ModelsBucket

# Shorter than the folders of trained models, which have the whole hash.
HASH_CHARACTERS = 16


def publish_default(models: ModelsBucket, archive_path: Path) -> tuple[str, dict[str, str]]:
    """Publishes the bundle's archive; returns PhysicalResourceId and attributes of the resource.

    Other content has another PhysicalResourceId, so CloudFormation sends a Delete for the old one
    once the endpoint uses the new archive, or for the new one after a rollback.

    The attributes are those of the promoted model if there is one: a deployment must not undo
    what `imagedrop promote` did without CloudFormation.

    Raises:
        ArchiveError: the archive is missing or may not be served.
        ValueError: the list of promotions is malformed.
        TransientError, ClientError: S3 is busy or refuses.
    """
    archive = check_archive(archive_path)
    folder = f"{FOLDER_PREFIX}{archive.sha256.hex()[:HASH_CHARACTERS]}"
    default = models.publish(archive, folder)
    promoted = models.promotions().current
    image_spec = promoted.image_spec if promoted else archive.card.image_spec.to_json()
    return folder, {
        "ModelDataUrl": promoted.model_data_url if promoted else default.model_data_url,
        "ImageSpec": json.dumps(image_spec, separators=(",", ":"), sort_keys=True),
        "DefaultModelDataUrl": default.model_data_url,
    }


def withdraw_default(models: ModelsBucket, folder: str) -> None:
    """Deletes a published default model; a resource that was never created has no folder."""
    if folder.startswith(FOLDER_PREFIX):
        models.withdraw(folder)
