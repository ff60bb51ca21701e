"""The custom resource that publishes the serving image."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.request import Request

import pytest

from handlers import custom_resource, publish_image
from serving_image.container_registry import UnreachableError

REPOSITORY = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/imagedrop"
CONTEXT = SimpleNamespace(log_stream_name="2026/11/29/[1]abc")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The answers to CloudFormation."""
    sent: list[dict[str, Any]] = []

    class Response:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    def open_(request: Request, timeout: float) -> Response:
        assert isinstance(request.data, bytes)
        assert timeout
        sent.append(json.loads(request.data))
        return Response()

    monkeypatch.setattr(custom_resource.urllib.request, "urlopen", open_)
    monkeypatch.setenv("REPOSITORY_URI", REPOSITORY)
    monkeypatch.setattr(publish_image, "authorization", lambda: "Basic token")
    return sent


def event(request_type: str, physical_id: str | None = None) -> dict[str, Any]:
    return {
        "RequestType": request_type,
        "ResponseURL": "https://cloudformation.example/answer",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "ServingImage",
    } | ({"PhysicalResourceId": physical_id} if physical_id else {})


def test_address_of_the_image_is_the_resource(
    answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_image, "publish_own_image", lambda uri, *_: f"{uri}:abc")

    publish_image.handler(event("Create"), CONTEXT)

    [answer] = answers
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == f"{REPOSITORY}:abc"
    assert answer["Data"] == {"ImageUri": f"{REPOSITORY}:abc"}


def test_former_image_is_kept_for_endpoints_that_name_it(
    answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_image, "publish_own_image", lambda *_: pytest.fail("pushed"))

    publish_image.handler(event("Delete", f"{REPOSITORY}:old"), CONTEXT)

    [answer] = answers
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", f"{REPOSITORY}:old")


def test_deployment_without_a_way_to_the_internet_fails_with_the_reason(
    answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise UnreachableError("Cannot reach https://public.ecr.aws: no route")

    monkeypatch.setattr(publish_image, "publish_own_image", fails)

    publish_image.handler(event("Create"), CONTEXT)

    [answer] = answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("UnreachableError: Cannot reach https://public.ecr.aws")
    assert answer["Reason"].endswith("(log stream 2026/11/29/[1]abc)")
