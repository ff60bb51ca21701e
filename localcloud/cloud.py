"""Start and stop the local cloud: the emulator, the SageMaker stand-in, the deployed stack."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from localcloud import deployment, environments, processes
from localcloud.processes import LocalCloudError, StartedProcess
from localcloud.record import LENIENT, Cloud, Strictness, read, write
from localcloud.stack import Stack

STACK_NAME = "imagedrop"
_PREFERRED_PORTS = [4566, 4567]
_START_DEADLINE_SECONDS = 60.0
_STOP_GRACE_SECONDS = 30.0  # the emulator saves its state
_POLL_SECONDS = 0.1
_ANSWER_TIMEOUT_SECONDS = 5.0
# Lambda's runtimes that the template's PythonRuntime allows and this project supports.
_LAMBDA_PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")

OnStep = Callable[[str], None]


def up(
    home: Path,
    *,
    deploy: bool = True,
    strictness: Strictness = LENIENT,
    project: Path = environments.REPOSITORY,
    on_step: OnStep = lambda _: None,
) -> Cloud:
    """Start the processes that do not run, build and deploy the changes.

    Args:
        home: folder for state, logs and ports; made when missing.
        deploy: also build and deploy the template.
        strictness: what is refused.
        project: folder of template.yaml, samconfig.toml and functions/.
        on_step: called with one short sentence before each step.

    Raises:
        LocalCloudError: something failed; the processes that this call started are stopped.
    """
    with _lock(home):
        known = read(home)
        started_here: list[StartedProcess] = []
        try:
            if known and known.is_running and known.strictness == strictness:
                cloud = known
                on_step(f"Already running: AWS at {cloud.endpoint_url}")
            else:
                if known:
                    _stop_all(known.processes)
                with _ports_reserved():
                    cloud = _start(home, known, strictness, started_here, on_step)
            if deploy:
                cloud = _deploy(home, cloud, project, on_step)
            # Read even when nothing was deployed here: the user may have run `sam deploy`.
            cloud = replace(cloud, outputs=_reachable(cloud, _stack(cloud).outputs()))
        except BaseException:
            _stop_all(started_here)
            raise
        write(home, cloud)
        return cloud


def down(home: Path) -> bool:
    """Stop the processes of the cloud in `home` and keep its state.

    Returns:
        Whether anything was running.
    """
    with _lock(home):
        cloud = read(home)
        if cloud is None:
            return False
        was_running = any(process.is_alive for process in cloud.processes)
        _stop_all(cloud.processes)
        write(home, replace(cloud, processes=()))
        return was_running


def python_runtime() -> str:
    """Lambda's name for the emulator's interpreter, which runs the functions.

    Raises:
        LocalCloudError: the emulator's environment is missing or broken.
    """
    return _python_runtime(environments.emulator_python())


@functools.cache
def _python_runtime(python: Path) -> str:
    try:
        found = subprocess.run(
            [str(python), "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise LocalCloudError(
            f"The emulator's Python does not run ({error}). `make setup` installs it."
        ) from error
    runtime = found.stdout.strip()
    if runtime not in _LAMBDA_PYTHONS:
        raise LocalCloudError(
            f"Lambda has no {runtime}, so the functions cannot run on {python}. Set up again with "
            f"one of {', '.join(_LAMBDA_PYTHONS)}: make clean setup PYTHON={_LAMBDA_PYTHONS[-1]}"
        )
    return runtime


def _start(
    home: Path,
    known: Cloud | None,
    strictness: Strictness,
    started: list[StartedProcess],
    on_step: OnStep,
) -> Cloud:
    on_step("Starting the emulator and the SageMaker stand-in")
    preferred = [_port_of(known.endpoint_url), _port_of(known.sagemaker_url)] if known else None
    emulator_port, sagemaker_port = processes.free_ports(preferred or _PREFERRED_PORTS)
    cloud = Cloud(
        endpoint_url=f"http://{processes.HOST}:{emulator_port}",
        sagemaker_url=f"http://{processes.HOST}:{sagemaker_port}",
        region=environments.REGION,
        stack_name=STACK_NAME,
        outputs=known.outputs if known else {},
        enforce_iam=strictness.enforce_iam,
        new_account=strictness.new_account,
        deployed=known.deployed if known else None,
        processes=(),
    )
    sagemaker = _start_sagemaker(home, cloud, sagemaker_port)
    started.append(sagemaker)
    # Recorded before anything can go wrong: `down` must find them.
    write(home, replace(cloud, processes=tuple(started)))
    wait_until_answering(cloud.sagemaker_url, sagemaker)
    # Images may already wait in the queue: without the endpoint they would fail once and be
    # retried only after the queue's visibility timeout.
    _wait_for_endpoints(cloud, sagemaker)
    emulator = _start_emulator(home, cloud, emulator_port)
    started.append(emulator)
    cloud = replace(cloud, processes=tuple(started))
    write(home, cloud)
    wait_until_answering(f"{cloud.endpoint_url}/_ministack/health", emulator)
    return cloud


def _start_emulator(home: Path, cloud: Cloud, port: int) -> StartedProcess:
    command = [
        *(str(environments.emulator_python()), "-m", "localcloud.emulator"),
        *("--port", str(port)),
        *("--state-dir", str((home / "aws").resolve())),
        *("--sagemaker-url", cloud.sagemaker_url),
        *environments.emulator_options(),
        *(["--enforce-iam"] if cloud.enforce_iam else []),
    ]
    return processes.start(
        "emulator",
        command,
        environment=environments.without_aws(os.environ),
        cwd=environments.REPOSITORY,
        log=home / "logs" / "emulator.log",
    )


def _start_sagemaker(home: Path, cloud: Cloud, port: int) -> StartedProcess:
    command = [
        *(sys.executable, "-m", "localcloud.sagemaker"),
        *("--port", str(port)),
        *("--state-dir", str((home / "sagemaker").resolve())),
        *("--aws-endpoint-url", cloud.endpoint_url),
        *(["--new-account"] if cloud.new_account else []),
    ]
    return processes.start(
        "SageMaker stand-in",
        command,
        environment={
            **environments.leading_to(cloud.endpoint_url, os.environ),
            "PYTHONPATH": str(environments.REPOSITORY),
        },
        cwd=environments.REPOSITORY,
        log=home / "logs" / "sagemaker.log",
    )


def wait_until_answering(url: str, process: StartedProcess) -> None:
    """Return as soon as `process` answers HTTP requests for `url`, whatever the answer.

    Raises:
        LocalCloudError: it ended, or the deadline passed; the message holds the end of its log.
    """
    deadline = time.monotonic() + _START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if not process.is_alive:
            raise LocalCloudError(f"The {process.name} ended while starting:\n{process.log_tail()}")
        try:
            with _opener().open(url, timeout=_ANSWER_TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(_POLL_SECONDS)
    raise LocalCloudError(
        f"The {process.name} did not answer within {_START_DEADLINE_SECONDS:.0f} seconds:\n"
        f"{process.log_tail()}"
    )


def _wait_for_endpoints(cloud: Cloud, sagemaker: StartedProcess) -> None:
    """Wait until the stand-in has restarted the endpoints it had."""
    deadline = time.monotonic() + _START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        statuses = _endpoint_statuses(cloud)
        if not {"SystemUpdating", "Updating", "Creating"} & set(statuses.values()):
            return
        time.sleep(_POLL_SECONDS)
    raise LocalCloudError(
        f"The endpoints did not start again: {statuses}\n{sagemaker.log_tail()}\n"
        f"Their own logs are beside the state of the {sagemaker.name}."
    )


def _endpoint_statuses(cloud: Cloud) -> dict[str, str]:
    # Without boto3, which needs a second to load its model of SageMaker.
    request = urllib.request.Request(  # noqa: S310 - the URL is ours, on loopback
        cloud.sagemaker_url,
        data=b"{}",
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "SageMaker.ListEndpoints",
        },
    )
    with _opener().open(request, timeout=_ANSWER_TIMEOUT_SECONDS) as response:
        endpoints = json.loads(response.read())["Endpoints"]
    return {endpoint["EndpointName"]: endpoint["EndpointStatus"] for endpoint in endpoints}


def _opener() -> urllib.request.OpenerDirector:
    """An opener that never uses a proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _deploy(home: Path, cloud: Cloud, project: Path, on_step: OnStep) -> Cloud:
    wanted = deployment.Deployment(project=project, python_runtime=python_runtime())
    fingerprint = wanted.fingerprint()
    stack = _stack(cloud)
    if cloud.deployed == fingerprint and stack.is_deployed():
        on_step("Nothing changed since the last deployment")
        return cloud
    if stack.is_broken():
        on_step("Deleting the stack of a failed deployment")
        stack.delete()
    try:
        deployment.build_and_deploy(
            wanted,
            stack_name=cloud.stack_name,
            endpoint_url=cloud.endpoint_url,
            logs=home / "logs",
            on_step=on_step,
        )
    except LocalCloudError as error:
        # SAM's output ends with the rollback; the reason is far above it.
        reasons = "".join(f"\n{reason}" for reason in stack.failures())
        raise LocalCloudError(f"{error}{reasons}") from error
    return replace(cloud, deployed=fingerprint)


def _stack(cloud: Cloud) -> Stack:
    return Stack(cloud.endpoint_url, cloud.stack_name)


def _reachable(cloud: Cloud, outputs: dict[str, str]) -> dict[str, str]:
    """`outputs` with URLs that work on this machine.

    The host name of an API's URL does not resolve here, and a queue's URL may contain the port of
    an earlier start.
    """
    reachable = dict(outputs)
    for name, value in outputs.items():
        api = re.match(r"https?://(\w+)\.execute-api\.[^/]+/?$", value)
        queue = re.match(r"https?://[^/]+(/\d{12}/[\w.-]+)$", value)
        if api:
            reachable[name] = f"{cloud.endpoint_url}/_aws/execute-api/{api[1]}/$default"
        elif queue:
            reachable[name] = cloud.endpoint_url + queue[1]
    return reachable


def _stop_all(started: list[StartedProcess] | tuple[StartedProcess, ...]) -> None:
    for process in started:
        processes.stop(process, grace_seconds=_STOP_GRACE_SECONDS)


def _port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalCloudError(
                f"Another `imagedrop up` or `down` uses {home}. Try again when it is done."
            ) from None
        yield


@contextlib.contextmanager
def _ports_reserved() -> Iterator[None]:
    """Wait for other local clouds of this user that are starting.

    A port is free until the process that gets it listens: two starts at once would choose the same.
    """
    path = Path(tempfile.gettempdir()) / f"imagedrop-ports-{os.getuid()}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
