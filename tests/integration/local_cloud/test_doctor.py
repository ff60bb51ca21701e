"""The checks of a stack on AWS, against the real template in the local cloud."""

from __future__ import annotations

import boto3
import httpx
import pytest

from imagedrop.doctor.account import check_account
from imagedrop.samconfig import SavedDeployment
from localcloud import environments
from tests.integration.conftest import Stack


@pytest.fixture
def session(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session like a user's, with the local cloud as its AWS."""
    assert stack.target.endpoint_url is not None
    for name, value in environments.settings(stack.target.endpoint_url).items():
        monkeypatch.setenv(name, value)
    for service in ("SAGEMAKER", "SAGEMAKER_RUNTIME"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", str(stack.target.sagemaker_url))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return boto3.Session()


def test_a_deployed_stack_is_well_in_every_line(stack: Stack, session: boto3.Session) -> None:
    def through_the_local_address(request: httpx.Request) -> httpx.Response:
        # The address in the stack's outputs does not resolve here.
        url = stack.target.outputs["ApiUrl"] + request.url.path
        signature = {"authorization": request.headers["authorization"]}
        return httpx.get(url, headers=signature, trust_env=False)

    http = httpx.Client(transport=httpx.MockTransport(through_the_local_address))
    saved = SavedDeployment("imagedrop", environments.REGION)
    found = list(check_account(session, saved, canary=True, http=http))
    assert [each for each in found if not each.ok] == []
    assert found[-1].name == "canary"
    assert "CLASSIFIED as pug" in found[-1].finding


def test_the_local_doctor_sends_a_photo_on_request(stack: Stack) -> None:
    told = stack.command_said("doctor", "--canary")
    assert "CLASSIFIED as pug" in told
    assert "canary" not in stack.command_said("doctor")
