"""Start the emulator in the foreground: `python -m localcloud.emulator --port N …`.

SIGTERM ends it and saves its state. Everything MiniStack reads from its environment is set here,
so that nothing of it depends on who starts the process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from localcloud.emulator import patching, shutdown

REGION = "us-east-1"
_HOST = "127.0.0.1"


def main() -> None:
    """Read the arguments, prepare the environment, close the gaps, serve until SIGTERM."""
    arguments = _arguments()
    try:
        patching.require_version()
        _set_environment(arguments)
        _close_gaps(arguments.state_dir)
    except patching.UnexpectedMiniStackError as error:
        sys.exit(str(error))
    sys.argv = ["ministack"]  # MiniStack parses the arguments too
    patching.module("app").main()
    shutdown.end_functions()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localcloud.emulator")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--state-dir", type=Path, required=True, help="what survives a restart")
    parser.add_argument("--sagemaker-url", required=True, help="where the SageMaker stand-in is")
    parser.add_argument("--enforce-iam", action="store_true", help="refuse what policies forbid")
    return parser.parse_args()


def _set_environment(arguments: argparse.Namespace) -> None:
    state = arguments.state_dir.resolve()
    temporary = state / "tmp"  # unpacked functions; worthless after a restart
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith(("AWS_", "MINISTACK_"))]:
        del os.environ[name]
    endpoint_url = f"http://{_HOST}:{arguments.port}"
    os.environ.update(
        GATEWAY_PORT=str(arguments.port),
        BIND_HOST=_HOST,
        MINISTACK_REGION=REGION,
        AUTH="true" if arguments.enforce_iam else "false",
        PERSIST_STATE="1",
        STATE_DIR=str(state / "services"),
        S3_PERSIST="1",
        S3_DATA_DIR=str(state / "s3"),
        TMPDIR=str(temporary),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        DOCKER_HOST=f"unix://{temporary}/no-docker.sock",
        # Functions inherit these: every SDK call of theirs stays on this machine.
        AWS_ENDPOINT_URL=endpoint_url,
        AWS_ENDPOINT_URL_SAGEMAKER=arguments.sagemaker_url,
        AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=arguments.sagemaker_url,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - MiniStack's fixed one
        AWS_DEFAULT_REGION=REGION,
        AWS_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
    tempfile.tempdir = None  # read TMPDIR again


def _close_gaps(state_dir: Path) -> None:
    # Imported late: MiniStack reads its environment when it is imported.
    from localcloud.emulator import (  # noqa: PLC0415
        aws_events,
        batch_permissions,
        batches,
        event_source_mappings,
        exceptions,
        function_environment,
        http_api,
        kms_etags,
        loopback,
        map_settings,
        not_emulated,
        output_changes,
        payload_limits,
        queue_urls,
        redriven_executions,
        sagemaker_resources,
        state_machine_roles,
        stopped_executions,
        tables,
        transform_job_tasks,
    )

    aws_events.install()
    batch_permissions.install()
    batches.install()
    event_source_mappings.install()
    exceptions.install()
    function_environment.install(state_dir.resolve() / "runtime-packages")
    http_api.install()
    kms_etags.install()
    loopback.install()
    map_settings.install()
    not_emulated.install()
    output_changes.install()
    payload_limits.install()
    queue_urls.install()
    redriven_executions.install()
    sagemaker_resources.install()
    shutdown.install()
    state_machine_roles.install()
    stopped_executions.install()
    tables.install()
    transform_job_tasks.install()


if __name__ == "__main__":
    main()
