"""Functions with the same files are deployed as one archive; the template stays what it was."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from localcloud.archives import pack

_BUILT = """
AWSTemplateFormatVersion: 2010-09-09
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: One, Timeout: 20}
  Two:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Two}
  Other:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: Other}
  Bucket:
    Type: AWS::S3::Bucket
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    for folder, text in (("One", "x = 1"), ("Two", "x = 1"), ("Other", "x = 2")):
        (tmp_path / folder / "package").mkdir(parents=True)
        (tmp_path / folder / "package" / "code.py").write_text(text)
        (tmp_path / folder / "run").write_text("#!/bin/sh")
    (tmp_path / "template.yaml").write_text(_BUILT)
    return tmp_path / "template.yaml"


def packed(built: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(pack(built).read_text())
    return template


def archive_of(built: Path, function: str) -> Path:
    name: str = packed(built)["Resources"][function]["Properties"]["CodeUri"]
    return built.parent / name


def test_same_files_are_one_archive_and_others_another(built: Path) -> None:
    assert archive_of(built, "One") == archive_of(built, "Two") != archive_of(built, "Other")
    with zipfile.ZipFile(archive_of(built, "Other")) as archive:
        assert archive.namelist() == ["package/code.py", "run"]
        assert archive.read("package/code.py") == b"x = 2"
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100755}


def test_files_built_again_are_the_same_archive(built: Path) -> None:
    archive = archive_of(built, "One")
    before = archive.read_bytes()
    archive.unlink()
    code = built.parent / "One" / "package" / "code.py"
    code.write_text(code.read_text())

    assert archive_of(built, "One") == archive
    assert archive.read_bytes() == before


def test_the_rest_of_the_template_is_as_it_was(built: Path) -> None:
    template = packed(built)
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert template["Resources"]["One"]["Properties"]["Timeout"] == 20
    assert template["Resources"]["Bucket"] == {"Type": "AWS::S3::Bucket"}
    assert built.read_text() == _BUILT
