"""Model archives on disk: downloaded and extracted once, shared by all containers."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.storage import ObjectNotFoundError, Storage, split_s3_uri

# A limit of this machine, not of SageMaker: it keeps a bad archive from filling the disk.
MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_MEMBERS = 10_000
UNPACKING_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error)


class ArtifactError(Exception):
    """The archive is not available; the message is the FailureReason that SageMaker gives."""


class Artifacts:
    """Extracted archives under one folder, named by the archive's SHA-256."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder = folder
        self._storage = storage
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, model_data_url: str) -> Path:
        """Download the archive (blocking) and return the folder with its content.

        Raises:
            ArtifactError: it cannot be downloaded or extracted.
        """
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".fetch-") as temporary:
            archive = Path(temporary) / "model.tar.gz"
            self._download(model_data_url, archive)
            with archive.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            destination = self._folder / digest[:32]
            if not destination.exists():
                content = Path(temporary) / "content"
                _extract(archive, content, model_data_url)
                content.rename(destination)
        return destination

    def remove_all_but(self, in_use: Iterable[Path]) -> None:
        """Delete the archives that no endpoint uses, and unfinished downloads."""
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


def extract(archive: Path, destination: Path) -> None:
    """Extract any .tar.gz, as SageMaker does, but nothing outside of `destination`.

    Raises:
        UNPACKING_ERRORS: it is no tar.gz, damaged, leaves the folder, or holds too much.
    """
    destination.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:gz") as tar:
        unpacked_bytes = 0
        for count, member in enumerate(tar, start=1):
            unpacked_bytes += member.size
            if unpacked_bytes > MAX_UNPACKED_BYTES or count > MAX_MEMBERS:
                raise tarfile.ReadError(
                    f"more than {MAX_UNPACKED_BYTES} bytes or {MAX_MEMBERS} members"
                )
            tar.extract(member, destination, filter="data")


def _extract(archive: Path, destination: Path, model_data_url: str) -> None:
    try:
        extract(archive, destination)
    except UNPACKING_ERRORS as error:
        raise ArtifactError(
            f'Failed to extract model data archive for container "container_1" from URL '
            f'"{model_data_url}". Please ensure that the object located at the URL is a valid '
            f"tar.gz archive. ({error})"
        ) from error
