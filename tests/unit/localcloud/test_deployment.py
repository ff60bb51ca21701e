"""A deployment is recognised by its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.deployment import Deployment

_SAMCONFIG = """
version = 0.1
[local.global.parameters]
parameter_overrides = "PythonRuntime=python3.9 EndpointCapacity=ml.m5.xlarge"
[local.deploy.parameters]
parameter_overrides = ["Note=\\"two\\""]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "samconfig.toml").write_text(_SAMCONFIG)
    (tmp_path / "functions" / "handlers").mkdir(parents=True)
    (tmp_path / "functions" / "handlers" / "classify.py").write_text("x = 1\n")
    return tmp_path


def test_runtime_is_the_emulators_and_other_parameters_are_samconfigs(project: Path) -> None:
    parameters = Deployment(project, "python3.13").parameters()

    assert parameters["PythonRuntime"] == "python3.13"
    assert parameters["EndpointCapacity"] == "ml.m5.xlarge"
    assert parameters["Note"] == "two"
    assert parameters["Architecture"] in ("x86_64", "arm64")


def test_fingerprint_stays_while_nothing_that_is_deployed_changes(project: Path) -> None:
    before = Deployment(project, "python3.13").fingerprint()
    (project / "README.md").write_text("hello")
    (project / "functions" / "__pycache__").mkdir()
    (project / "functions" / "__pycache__" / "classify.pyc").write_bytes(b"0")

    assert Deployment(project, "python3.13").fingerprint() == before


@pytest.mark.parametrize(
    "path", ["template.yaml", "samconfig.toml", "functions/handlers/classify.py", "functions/new"]
)
def test_fingerprint_changes_with_what_is_deployed(project: Path, path: str) -> None:
    before = Deployment(project, "python3.13").fingerprint()
    with (project / path).open("a") as file:
        file.write("# changed\n")

    assert Deployment(project, "python3.13").fingerprint() != before


def test_fingerprint_changes_with_the_runtime(project: Path) -> None:
    assert (
        Deployment(project, "python3.13").fingerprint()
        != Deployment(project, "python3.14").fingerprint()
    )
