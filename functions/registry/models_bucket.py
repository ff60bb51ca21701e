"""The models bucket: each archive in a folder named by its hash, with its card beside it."""

from __future__ import annotations

import base64
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archive.card import CARD_NAME, ModelCard
from archive.reading import ModelArchive
from pipeline.adapters.service_errors import translate_errors
from pipeline.adapters.stored_object import read_object
from registry.promotions import PROMOTIONS_KEY, Promotions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARCHIVE_NAME = "model.tar.gz"
FOLDER_PREFIX = "models/"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The ``s3://`` addresses of an archive and of its card."""

    model_data_url: str
    model_card_url: str


class ModelsBucket:
    """The models bucket of one stack.

    Every method raises TransientError when S3 is busy or did not answer, and ClientError when it
    refuses, most often for a missing permission.
    """

    def __init__(self, s3: S3Client, name: str) -> None:
        self._s3 = s3
        self.name = name

    def publish(self, archive: ModelArchive, folder: str | None = None) -> StoredModel:
        """Copies the archive, as a stream, and its card.

        Publishing twice writes the same bytes to the same keys. S3 verifies the checksum.

        Args:
            folder: by default named by the archive's whole sha256, so no two archives share one.
        """
        archive_key, card_key = _keys_in(folder or f"{FOLDER_PREFIX}{archive.sha256.hex()}")
        with translate_errors():
            with archive.path.open("rb") as body:
                self._s3.put_object(
                    Bucket=self.name,
                    Key=archive_key,
                    Body=body,
                    ContentType="application/gzip",
                    ChecksumSHA256=base64.b64encode(archive.sha256).decode(),
                )
            self._s3.put_object(
                Bucket=self.name,
                Key=card_key,
                Body=archive.card_json,
                ContentType="application/json",
            )
        return StoredModel(self._url(archive_key), self._url(card_key))

    def withdraw(self, folder: str) -> None:
        """Deletes the files of ``publish`` in a folder; does nothing if the bucket is gone."""
        with translate_errors():
            try:
                for key in _keys_in(folder):
                    self._s3.delete_object(Bucket=self.name, Key=key)
            except self._s3.exceptions.NoSuchBucket:
                return

    def fetch(self, model_data_url: str, destination: Path) -> None:
        """Downloads an archive of this bucket, as a stream.

        Raises:
            ValueError: the archive is in another bucket.
        """
        if not self.holds(model_data_url):
            raise ValueError(f"{model_data_url} is not in the bucket {self.name}")
        key = model_data_url.removeprefix(self._url(""))
        with (
            translate_errors(),
            closing(self._s3.get_object(Bucket=self.name, Key=key)["Body"]) as body,
            destination.open("wb") as file,
        ):
            shutil.copyfileobj(body, file)

    def holds(self, url: str) -> bool:
        """Returns whether an address is in this bucket; only those can be served."""
        return url.startswith(self._url(""))

    def read_card(self, model_data_url: str) -> ModelCard:
        """Reads the card beside an archive; raises ArchiveError when it is malformed."""
        return read_card(self._s3, model_data_url)

    def promotions(self) -> Promotions:
        """Reads the list of promotions; raises ValueError when the object is not such a list."""
        return Promotions.from_bytes(read_object(self._s3, self.name, PROMOTIONS_KEY))

    def write_promotions(self, promotions: Promotions) -> None:
        """Replaces the list of promotions."""
        with translate_errors():
            self._s3.put_object(
                Bucket=self.name,
                Key=PROMOTIONS_KEY,
                Body=promotions.to_bytes(),
                ContentType="application/json",
            )

    def _url(self, key: str) -> str:
        return f"s3://{self.name}/{key}"


def read_card(s3: S3Client, model_data_url: str) -> ModelCard:
    """Reads the card beside an archive in any bucket.

    Raises:
        TransientError: S3 is busy or did not answer.
        ClientError: anything else, most often a missing object.
        ArchiveError: the card is malformed.
    """
    bucket, _, key = model_data_url.removeprefix("s3://").partition("/")
    card_key = f"{key.rpartition('/')[0]}/{CARD_NAME}"
    with (
        translate_errors(),
        closing(s3.get_object(Bucket=bucket, Key=card_key)["Body"]) as body,
    ):
        return ModelCard.from_bytes(body.read())


def _keys_in(folder: str) -> tuple[str, str]:
    return f"{folder}/{ARCHIVE_NAME}", f"{folder}/{CARD_NAME}"
