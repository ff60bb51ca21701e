"""CloudFormation and the models bucket, as the custom resources' functions see them."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handlers import publish_model
from tests.model_archives import write_archive

BUCKET = "models-bucket"


@dataclass
class Context:
    log_stream_name: str = "2026/11/24/[1]abc"


@dataclass
class CloudFormation:
    """The content put to the ResponseURL."""

    requests: list[urllib.request.Request] = field(default_factory=list)

    @property
    def answer(self) -> dict[str, Any]:
        (request,) = self.requests
        assert isinstance(request.data, bytes)
        answer: dict[str, Any] = json.loads(request.data)
        return answer


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    received = CloudFormation()

    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert timeout > 0
        received.requests.append(request)
        return io.BytesIO()

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return received


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive in the bundle, and the function's environment."""
    path = tmp_path / "model.tar.gz"
    write_archive(path)
    monkeypatch.setattr(publish_model, "ARCHIVE_PATH", path)
    monkeypatch.setenv("MODELS_BUCKET", BUCKET)
    return path


def event(request_type: str, physical_id: str | None = None) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResponseURL": "https://cloudformation.example/answer?signature=1",
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/s/1",
        "RequestId": "request-1",
        "LogicalResourceId": "PublishedModel",
        "ResourceProperties": {"CodeVersion": "1"},
    } | ({} if physical_id is None else {"PhysicalResourceId": physical_id})


def keys(s3: Any) -> set[str]:
    return {each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
