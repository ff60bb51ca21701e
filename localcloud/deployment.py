"""Build and deploy the template to the local cloud with the real SAM CLI."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud import archives, environments
from localcloud.processes import LocalCloudError, kill_group, log_tail

CONFIG_ENVIRONMENT = "local"
# Lambda's names of processors, by the operating systems' names.
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
_POLL_DELAY_SECONDS = 0.3  # SAM's own 5 s is meant for AWS's rate limits


@dataclass(frozen=True, slots=True)
class Deployment:
    """A template to deploy, in a folder with its `samconfig.toml` and `functions/`."""

    project: Path  # holds template.yaml
    python_runtime: str  # Lambda's name of the emulator's interpreter, "python3.11"

    @property
    def template(self) -> Path:
        """The template as written."""
        return self.project / "template.yaml"

    @property
    def workspace(self) -> Path:
        """The folder SAM builds in; `.aws-sam/build` belongs to a plain `sam build`."""
        return self.project / ".aws-sam" / "local"

    def parameters(self) -> dict[str, str]:
        """Template parameters: those of samconfig's environment `local`, on this machine."""
        return {
            **_configured_parameters(self.project),
            "PythonRuntime": self.python_runtime,
            "Architecture": _ARCHITECTURES.get(platform.machine().lower(), "x86_64"),
        }

    def fingerprint(self) -> str:
        """Hash of everything that a deployment depends on."""
        digest = hashlib.sha256(repr(sorted(self.parameters().items())).encode())
        for path in sorted(_sources(self.project)):
            digest.update(str(path.relative_to(self.project)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def build_and_deploy(
    deployment: Deployment,
    *,
    stack_name: str,
    endpoint_url: str,
    logs: Path,
    on_step: Callable[[str], None],
) -> None:
    """Build what changed since the last build, then create or update the stack.

    Args:
        deployment: what to deploy.
        stack_name: under which name.
        endpoint_url: of the emulator to deploy to.
        logs: folder for SAM's output.
        on_step: called with one short sentence before each step.

    Raises:
        LocalCloudError: SAM or the stack failed; the message contains the end of SAM's output. A
            failed build is deleted, because SAM's cache would report success with a dependency
            missing.
    """
    with _alone(deployment.workspace):
        on_step("Building the functions")
        built = _build(deployment, logs / "sam-build.log")
        on_step("Deploying the stack")
        _deploy(deployment, built, stack_name, endpoint_url, logs / "sam-deploy.log")


def _build(deployment: Deployment, log: Path) -> Path:
    built = deployment.workspace / "build" / "template.yaml"
    packed = built.with_suffix(".json")
    mark = deployment.workspace / "fingerprint"
    fingerprint = deployment.fingerprint()
    if packed.exists() and mark.exists() and mark.read_text() == fingerprint:
        return packed
    mark.unlink(missing_ok=True)
    command = [
        "build",
        "--cached",
        "--parallel",
        *("--template-file", str(deployment.template)),
        *("--build-dir", str(built.parent)),
        *("--cache-dir", str(deployment.workspace / "cache")),
        *_common(deployment),
    ]
    try:
        _sam(command, deployment, environments.without_aws(os.environ), log)
        packed = archives.pack(built)
    except BaseException:
        shutil.rmtree(deployment.workspace, ignore_errors=True)
        raise
    mark.write_text(fingerprint)
    return packed


def _deploy(
    deployment: Deployment, built: Path, stack_name: str, endpoint_url: str, log: Path
) -> None:
    command = [
        "deploy",
        *("--template-file", str(built)),
        *("--stack-name", stack_name),
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        *_common(deployment),
    ]
    _sam(command, deployment, environments.leading_to(endpoint_url, os.environ), log)


def _common(deployment: Deployment) -> list[str]:
    overrides = [f"{name}={value}" for name, value in deployment.parameters().items()]
    return [
        *("--config-file", str(deployment.project / "samconfig.toml")),
        *("--config-env", CONFIG_ENVIRONMENT),
        *("--region", environments.REGION),
        "--parameter-overrides",
        *overrides,
    ]


def _sam(
    arguments: list[str], deployment: Deployment, environment: Mapping[str, str], log: Path
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    python = environments.emulator_python()
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [str(environments.sam()), *arguments],
                cwd=deployment.project,
                env={
                    **environment,
                    # SAM builds with the first python3.N on PATH, which must be the functions' own.
                    "PATH": os.pathsep.join([str(python.parent), environment.get("PATH", "")]),
                    "SAM_CLI_TELEMETRY": "0",
                    "SAM_CLI_POLL_DELAY": str(_POLL_DELAY_SECONDS),
                    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                    "SERVING_IMAGE": "none",  # see functions/Makefile
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process, which stops SAM
            )
        except OSError as error:
            raise LocalCloudError(
                f"Cannot run the SAM CLI ({error}). `make setup` installs it."
            ) from error
        try:
            code = process.wait()
        except BaseException:
            kill_group(process.pid)
            process.wait()
            raise
    if code != 0:
        raise LocalCloudError(
            f"sam {arguments[0]} failed:\n{log_tail(log)}\nThe whole output is in {log}."
        )


@contextlib.contextmanager
def _alone(workspace: Path) -> Iterator[None]:
    """Wait for other local clouds that deploy the same folder: they share the build."""
    workspace.parent.mkdir(parents=True, exist_ok=True)
    with (workspace.parent / "local.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _configured_parameters(project: Path) -> dict[str, str]:
    """`parameter_overrides` of samconfig's environment `local`, global and for deploy."""
    path = project / "samconfig.toml"
    if not path.exists():
        return {}
    sections = tomllib.loads(path.read_text()).get(CONFIG_ENVIRONMENT, {})
    found: dict[str, str] = {}
    for section in ("global", "deploy"):
        overrides = sections.get(section, {}).get("parameters", {}).get("parameter_overrides", [])
        words: list[str] = overrides.split() if isinstance(overrides, str) else overrides
        for word in words:
            name, _, value = word.partition("=")
            found[name] = value.strip('"')
    return found


def _sources(project: Path) -> Iterator[Path]:
    for pattern in ("template.yaml", "samconfig.toml", "*.asl.json"):
        yield from project.glob(pattern)
    for path in (project / "functions").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
