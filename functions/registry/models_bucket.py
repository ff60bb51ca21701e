"""The models bucket: archives under the hash of their content, each with its card beside it."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from archive.card import CARD_NAME
from archive.reading import ModelArchive
from pipeline.adapters.service_errors import error_code, transient_errors_named
from registry.promotions import PROMOTIONS_KEY, Promotions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARCHIVE_NAME = "model.tar.gz"
FOLDER_PREFIX = "models/"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """Where an archive and its card lie."""

    model_data_url: str
    model_card_url: str


class ModelsBucket:
    """The bucket named in the template."""

    def __init__(self, s3: S3Client, name: str) -> None:
        self._s3 = s3
        self.name = name

    def publish(self, archive: ModelArchive, folder: str | None = None) -> StoredModel:
        """Copies the archive, streaming, and its card.

        Doing it twice writes the same bytes to the same keys. S3 refuses bytes of another checksum.

        Args:
            folder: by default named by the archive's whole sha256, and so by no two archives.

        Raises:
            TransientError: S3 is busy or did not answer.
            ClientError: S3 refuses; a missing permission above all.
        """
        archive_key, card_key = keys_in(folder or f"{FOLDER_PREFIX}{archive.sha256.hex()}")
        with transient_errors_named():
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
        """Deletes what ``publish`` put into a folder; a bucket that is gone already is no error."""
        with transient_errors_named():
            try:
                for key in keys_in(folder):
                    self._s3.delete_object(Bucket=self.name, Key=key)
            except self._s3.exceptions.NoSuchBucket:
                return

    def fetch(self, model_data_url: str, destination: Path) -> None:
        """Writes an archive of this bucket to a file, streaming.

        Raises:
            ValueError: the archive lies elsewhere.
            TransientError: S3 is busy or did not answer.
            ClientError: anything else, a missing object above all.
        """
        if not self.holds(model_data_url):
            raise ValueError(f"{model_data_url} is not in the bucket {self.name}")
        key = model_data_url.removeprefix(self._url(""))
        with (
            transient_errors_named(),
            closing(self._s3.get_object(Bucket=self.name, Key=key)["Body"]) as body,
            destination.open("wb") as file,
        ):
            shutil.copyfileobj(body, file)

    def holds(self, url: str) -> bool:
        """Whether the address is one of this bucket; nothing else can be served from here."""
        return url.startswith(self._url(""))

    def read_card(self, model_data_url: str) -> Mapping[str, Any]:
        """The card beside an archive."""
        card_key = model_data_url.removeprefix(self._url("")).removesuffix(ARCHIVE_NAME) + CARD_NAME
        with (
            transient_errors_named(),
            closing(self._s3.get_object(Bucket=self.name, Key=card_key)["Body"]) as body,
        ):
            card: Mapping[str, Any] = json.loads(body.read())
        return card

    def promotions(self) -> Promotions:
        """
        Raises:
            ValueError: the object is no list of promotions.
        """
        content = None
        with transient_errors_named():
            try:
                found = self._s3.get_object(Bucket=self.name, Key=PROMOTIONS_KEY)
                with closing(found["Body"]) as body:
                    content = body.read()
            except ClientError as error:
                if error_code(error) != "NoSuchKey":
                    raise
        return Promotions.from_bytes(content)

    def write_promotions(self, promotions: Promotions) -> None:
        with transient_errors_named():
            self._s3.put_object(
                Bucket=self.name,
                Key=PROMOTIONS_KEY,
                Body=promotions.to_bytes(),
                ContentType="application/json",
            )

    def _url(self, key: str) -> str:
        return f"s3://{self.name}/{key}"


def keys_in(folder: str) -> tuple[str, str]:
    return f"{folder}/{ARCHIVE_NAME}", f"{folder}/{CARD_NAME}"
