"""Commands use the account that SAM saved, and what they save is what plain SAM reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from imagedrop import samconfig
from imagedrop.errors import UserError
from imagedrop.samconfig import SavedDeployment, read_deployment, save_deployment
from imagedrop.target import find_region, find_target
from imagedrop.target_name import TargetName
from tools.paths import PROJECT

GUIDED = """version = 0.1
# AWS.
[default.global.parameters]
stack_name = "imagedrop"

[default.build.parameters]
cached = true

[default.deploy.parameters]
capabilities = "CAPABILITY_IAM"
stack_name = "photos"
region = "eu-north-1"
profile = "work"
parameter_overrides = "EndpointCapacity=\\"2048\\" AlarmEmail=\\"\\""
"""


class Stacks:
    """CloudFormation with one stack."""

    def describe_stacks(self, StackName: str) -> dict[str, list[dict[str, Any]]]:  # noqa: N803
        assert StackName == "photos"
        return {"Stacks": [{"Outputs": []}]}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "samconfig.toml"
    path.write_text(GUIDED)
    monkeypatch.setattr(samconfig, "SAMCONFIG", path)
    return path


def test_a_guided_deployments_settings_are_read(file: Path) -> None:
    assert read_deployment() == SavedDeployment(
        "photos", "eu-north-1", "work", {"EndpointCapacity": "2048", "AlarmEmail": ""}
    )


def test_target_aws_uses_the_saved_profile_and_region(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = tmp_path / "credentials"
    profiles.write_text("[work]\naws_access_key_id = WORK\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    monkeypatch.setattr(boto3.Session, "client", lambda _session, _service: Stacks())
    session = find_target(TargetName.AWS).session
    assert (session.profile_name, session.region_name) == ("work", "eu-north-1")
    assert find_region(TargetName.AWS) == "eu-north-1"


def test_a_profile_that_this_machine_lacks_is_a_users_problem(file: Path) -> None:
    with pytest.raises(UserError, match="work"):
        find_target(TargetName.AWS)


def test_saving_removes_what_would_go_before_it_and_keeps_the_rest(file: Path) -> None:
    chosen = SavedDeployment(
        "dogs", "us-east-1", None, {"AlarmEmail": "a@example.org", "PythonRuntime": "python3.13"}
    )
    save_deployment(chosen)
    assert read_deployment() == chosen
    text = file.read_text()
    assert "# AWS." in text
    assert 'capabilities = "CAPABILITY_IAM"' in text
    assert "photos" not in text
    assert "eu-north-1" not in text


def test_awkward_values_survive(file: Path) -> None:
    awkward = {"A": 'quote " and \\', "B": "two words", "C": "a,b"}
    save_deployment(SavedDeployment("dogs", parameters=awkward))
    assert read_deployment().parameters == awkward


def test_the_repositorys_own_file_is_read() -> None:
    assert read_deployment(PROJECT / "samconfig.toml").stack_name == "imagedrop"
