"""The limits of a form for guests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagedrop.errors import UserError
from imagedrop.target import Target
from imagedrop.upload_form import upload_form


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    with mock_aws():
        yield Target(
            boto3.Session("test", "test", region_name="us-east-1"), {"ImagesBucketName": "images"}
        )


def policy_of(form: dict[str, Any]) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(base64.b64decode(form["fields"]["policy"]))
    return policy


def test_a_form_bounds_size_type_and_folder(target: Target) -> None:
    conditions = policy_of(upload_form(target, "alice", 60))["conditions"]
    assert ["starts-with", "$key", "incoming/alice/"] in conditions
    assert ["starts-with", "$Content-Type", "image/"] in conditions
    assert ["content-length-range", 1, 32 * 1024 * 1024] in conditions
    assert {"bucket": "images"} in conditions


def test_a_form_is_signed_as_kms_asks_for(target: Target) -> None:
    assert upload_form(target, "alice", 60)["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"


@pytest.mark.parametrize("guest", ["", "..", "a/b", "../bob", "A", "a b", "-a", "a" * 64, "a\n"])
def test_a_guest_that_is_no_folder_is_refused(target: Target, guest: str) -> None:
    with pytest.raises(UserError):
        upload_form(target, guest, 60)
