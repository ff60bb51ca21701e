"""How contract tests start an emulator and deploy small stacks to it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from localcloud import aws, cloud, environments, processes
from localcloud.sagemaker import launch
from tests.integration.emulator.fake_sagemaker import FakeSageMaker, running_fake_sagemaker

GRACE_SECONDS = 60.0
_DEADLINE_SECONDS = 60.0


@dataclass
class Emulator:
    """A running emulator and how to use it in a test."""

    url: str
    process: processes.StartedProcess
    sagemaker: FakeSageMaker
    lifeline: IO[bytes]
    """Its standard input: the emulator ends when this closes, however the tests end."""

    def stop(self) -> None:
        """Stop it as `imagedrop down` does: it saves its state."""
        processes.stop(self.process, grace_seconds=GRACE_SECONDS)

    def client(self, service: str) -> Any:
        return aws.client(service, self.url)

    def deploy(self, name: str, template: dict[str, Any], **parameters: str) -> dict[str, str]:
        """Create or update a stack, wait for it, return its outputs."""
        stack = self._deployed(name, template, parameters)
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), self._reasons(name)
        return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}

    def fail_to_deploy(self, name: str, template: dict[str, Any]) -> list[str]:
        """Create a stack that must roll back; return the reasons its events give."""
        stack = self._deployed(name, template, {})
        assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
        return self._reasons(name)

    def _deployed(
        self, name: str, template: dict[str, Any], parameters: dict[str, str]
    ) -> dict[str, Any]:
        cloudformation = self.client("cloudformation")
        request = {
            "StackName": name,
            "TemplateBody": json.dumps(template),
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
        known = [s["StackName"] for s in cloudformation.describe_stacks()["Stacks"]]
        (cloudformation.update_stack if name in known else cloudformation.create_stack)(**request)
        return self._settled(name)

    def state_machine(self, name: str, definition: dict[str, Any]) -> str:
        """Create a state machine; its ARN."""
        arn: str = self.client("stepfunctions").create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::000000000000:role/states",
        )["stateMachineArn"]
        return arn

    def start(self, state_machine: str, given: Any = None) -> str:
        """Start an execution; its ARN."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=state_machine, input=json.dumps(given or {})
        )
        arn: str = started["executionArn"]
        return arn

    def ended(self, execution: str) -> dict[str, Any]:
        """The execution's description once it no longer runs."""
        client = self.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            description: dict[str, Any] = client.describe_execution(executionArn=execution)
            return None if description["status"] == "RUNNING" else description

        found: dict[str, Any] = eventually(look)
        return found

    def delete(self, name: str) -> None:
        """Delete a stack and wait until it is gone."""
        cloudformation = self.client("cloudformation")
        stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=name)
        assert self._settled(stack_id)["StackStatus"] == "DELETE_COMPLETE", self._reasons(stack_id)

    def _settled(self, name: str) -> dict[str, Any]:
        cloudformation = self.client("cloudformation")

        def look() -> dict[str, Any] | None:
            stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        found: dict[str, Any] = eventually(look)
        return found

    def _reasons(self, name: str) -> list[str]:
        events = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        return [e["ResourceStatusReason"] for e in events if e.get("ResourceStatusReason")]


def eventually(look: Callable[[], Any], *, every_seconds: float = 0.05) -> Any:
    """Polls `look` and returns its first result that is true."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None and found is not False:
            return found
        time.sleep(every_seconds)
    raise AssertionError(f"not within {_DEADLINE_SECONDS:.0f} seconds")


def start_emulator(folder: Path, sagemaker: FakeSageMaker, *flags: str) -> Emulator:
    """Start an emulator whose state is in `folder`; the caller stops it."""
    (port,) = processes.free_ports([0])
    url = f"http://{processes.HOST}:{port}"
    log = folder / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(
                    str(environments.emulator_python()),
                    launch.__file__,
                    "-m",
                    "localcloud.emulator",
                ),
                *("--port", str(port), "--state-dir", str(folder)),
                *("--sagemaker-url", sagemaker.url),
                *environments.emulator_options(),
                *flags,
            ],
            env=environments.without_aws(os.environ),
            cwd=environments.REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert process.stdin is not None
    identity = processes.identity_of(process.pid) or "ended"
    started = processes.StartedProcess("emulator", process.pid, identity, str(log))
    cloud.wait_until_answering(f"{url}/_ministack/health", started)
    return Emulator(url, started, sagemaker, process.stdin)


@contextlib.contextmanager
def running_emulator(folder: Path, *flags: str) -> Iterator[Emulator]:
    """An emulator with its own fake SageMaker, which ends with the block."""
    with running_fake_sagemaker() as sagemaker:
        emulator = start_emulator(folder, sagemaker, *flags)
        try:
            yield emulator
        finally:
            emulator.stop()


def python_function(code: str, environment: dict[str, Any] | None = None) -> dict[str, Any]:
    """`AWS::Lambda::Function` with inline code, whose entry is `handler`."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": cloud.python_runtime(),
            "Handler": "index.handler",
            "Role": "arn:aws:iam::000000000000:role/function",
            "Timeout": 20,
            "Code": {"ZipFile": code},
            "Environment": {"Variables": environment or {}},
        },
    }


def outputs(**values: Any) -> dict[str, Any]:
    """A template's outputs."""
    return {name: {"Value": value} for name, value in values.items()}
