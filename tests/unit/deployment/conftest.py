"""An AWS account and a SAM CLI as `imagedrop deploy` sees them: fake services, real programs."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from imagedrop import samconfig
from imagedrop.cli import app
from imagedrop.commands import deploy as deploy_command
from imagedrop.deployment.sam import Sam

SAMCONFIG = """version = 0.1
# Kept.
[default.global.parameters]
stack_name = "imagedrop"

[default.deploy.parameters]
capabilities = "CAPABILITY_IAM"
"""
SAM = f"""#!{sys.executable}
import json, os, pathlib, shutil, sys
home = pathlib.Path({{home!r}})
python = shutil.which("python3.11")
line = json.dumps({{{{"arguments": sys.argv[1:], "python": python}}}})
with (home / "calls.jsonl").open("a") as calls:
    calls.write(line + "\\n")
sys.exit(1 if (home / f"{{{{sys.argv[1]}}}}.fails").exists() else 0)
"""


def refusal(code: str, message: str = "no", operation: str = "Operation") -> ClientError:
    """AWS's answer to a call that it refuses."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def event(resource: str, status: str, reason: str = "") -> dict[str, str]:
    return {
        "LogicalResourceId": resource,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


@dataclass
class Pages:
    """A paginator with one answer."""

    answer: Mapping[str, Any]

    def paginate(self, **_: Any) -> Iterator[Mapping[str, Any]]:
        yield self.answer


@dataclass
class Account:
    """AWS's answers; a test changes them."""

    status: str | None = None
    events: list[dict[str, str]] = field(default_factory=list)
    quotas: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, ClientError] = field(default_factory=dict)
    executions: int = 1000
    region_name: str | None = "us-east-1"

    def client(self, service: str) -> Account:
        if service in self.refused:
            raise self.refused[service]
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": self.executions}}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if self.status is None:
            raise refusal("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackStatus": self.status, "StackId": "id", "Outputs": []}]}

    def get_paginator(self, operation: str) -> Pages:
        return Pages(
            {
                "list_service_quotas": {"Quotas": self.quotas},
                "list_aws_default_service_quotas": {"Quotas": []},
                "describe_stack_events": {"StackEvents": self.events},
            }[operation]
        )


@dataclass
class Bench:
    """A project folder with a SAM program that notes its calls, and an account."""

    home: Path
    account: Account

    def deploy(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(app, ["deploy", *words], input=input)

    def calls(self) -> list[dict[str, Any]]:
        file = self.home / "calls.jsonl"
        return [json.loads(each) for each in file.read_text().splitlines()] if file.exists() else []

    def fail(self, command: str) -> None:
        (self.home / f"{command}.fails").touch()

    @property
    def samconfig(self) -> Path:
        return self.home / "samconfig.toml"


def program(path: Path, text: str) -> None:
    """Writes a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, Account())
    program(tmp_path / "bin" / "sam", SAM.format(home=str(tmp_path)))
    # The only Python on this PATH that is what it is called.
    program(tmp_path / "bin" / "python3.11", "#!/bin/sh\necho python3.11\n")
    program(tmp_path / "bin" / "python3.13", "#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    made.samconfig.write_text(SAMCONFIG)
    monkeypatch.setattr(samconfig, "SAMCONFIG", made.samconfig)
    monkeypatch.setattr(
        deploy_command, "find_sam", lambda _project: Sam(tmp_path / "bin" / "sam", tmp_path)
    )
    monkeypatch.setattr(deploy_command, "aws_session", lambda _chosen: made.account)
    monkeypatch.setattr(deploy_command, "RUNTIMES", ("python3.13", "python3.11"))
    return made
