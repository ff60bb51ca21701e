"""The files beside the template: the bundle's requirements and the SAM CLI's settings."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from imagedrop.deployment.template import load_template
from tools.paths import PROJECT
from tools.sbom import pins

REQUIREMENTS = PROJECT / "functions" / "requirements.txt"


def requirements() -> list[str]:
    return [str(pin.req) for pin in pins(REQUIREMENTS)]


def samconfig(environment: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((PROJECT / "samconfig.toml").read_text())[environment]
    return found


def test_every_requirement_of_the_bundle_is_pinned_exactly() -> None:
    for pin in pins(REQUIREMENTS):
        assert pin.is_pinned, pin.line
        marker = str(pin.marker or "")
        assert re.fullmatch(r'(python_full_version [<>=]+ "3\.\d+")?', marker), pin.line


@pytest.mark.parametrize("heavy", ["torch", "numpy", "boto3", "botocore", "onnxruntime"])
def test_the_bundle_does_not_ask_for(heavy: str) -> None:
    assert not any(line.startswith(heavy) for line in requirements())


def test_aws_gets_what_a_first_deployment_needs() -> None:
    deploy = samconfig("default")["deploy"]["parameters"]
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert deploy["resolve_s3"] is True
    assert deploy["confirm_changeset"] is True


def test_the_local_environment_asks_nothing() -> None:
    local = samconfig("local")
    assert local["global"]["parameters"]["region"] == "us-east-1"
    assert local["deploy"]["parameters"]["confirm_changeset"] is False
    assert local["deploy"]["parameters"]["fail_on_empty_changeset"] is False
    assert local["deploy"]["parameters"]["resolve_s3"] is True


def test_the_local_environment_sets_parameters_that_the_template_has() -> None:
    overrides = samconfig("local")["global"]["parameters"]["parameter_overrides"].split()
    for override in overrides:
        name, _, value = override.partition("=")
        load_template().values({name: value})  # or it raises


def test_both_environments_deploy_the_same_stack() -> None:
    names = {samconfig(each)["global"]["parameters"]["stack_name"] for each in ("default", "local")}
    assert names == {"imagedrop"}


def test_the_local_cloud_fetches_no_packages_for_an_image_that_it_does_not_make(
    tmp_path: Path,
) -> None:
    make = ["make", "-s", "-C", str(PROJECT / "functions"), "build-PublishImageFunction"]
    subprocess.run([*make, "SERVING_IMAGE=none", f"ARTIFACTS_DIR={tmp_path}"], check=True)
    assert (tmp_path / "handlers" / "publish_image.py").exists()
    assert not (tmp_path / "wheels").exists()
