"""Model archives on disk: downloaded once, extracted once, shared by whoever runs them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from archive.reading import ArchiveError, extract_archive
from localcloud.sagemaker.storage import ObjectNotFoundError, Storage, split_s3_uri


class ArtifactError(Exception):
    """The archive can not be had; the message is the FailureReason that SageMaker gives."""


class Artifacts:
    """Extracted archives under one folder, named by the archive's SHA-256."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder = folder
        self._storage = storage
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, model_data_url: str) -> Path:
        """Blocking: the folder that holds the archive's content. ``ArtifactError`` if not."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".fetch-") as temporary:
            archive = Path(temporary) / "model.tar.gz"
            self._download(model_data_url, archive)
            with archive.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            destination = self._folder / digest[:32]
            if not destination.exists():
                _extract(archive, destination, model_data_url)
        return destination

    def remove_all_but(self, in_use: Iterable[Path]) -> None:
        """Delete the archives that nobody runs any more, and half-finished ones."""
        keep = set(in_use)
        for folder in self._folder.iterdir():
            if folder not in keep:
                shutil.rmtree(folder)

    def _download(self, model_data_url: str, destination: Path) -> None:
        bucket, key = split_s3_uri(model_data_url)
        try:
            self._storage.download(bucket, key, destination)
        except (ObjectNotFoundError, ClientError, BotoCoreError) as error:
            raise ArtifactError(
                f'Failed to download model data for container "container_1" from URL: '
                f'"{model_data_url}". Please ensure that there is an object located at the URL '
                "and that the role passed to CreateModel has permissions to download the model. "
                f"({error})"
            ) from error


def _extract(archive: Path, destination: Path, model_data_url: str) -> None:
    try:
        extract_archive(archive, destination)
    except ArchiveError as error:
        raise ArtifactError(
            f'Failed to extract model data archive for container "container_1" from URL '
            f'"{model_data_url}". Please ensure that the object located at the URL is a valid '
            f"tar.gz archive. ({error})"
        ) from error
