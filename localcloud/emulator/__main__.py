"""Start the emulator in the foreground: `python -m localcloud.emulator --port N …`.

SIGTERM saves its state and ends it. Every variable that MiniStack reads is set here, so that its
behaviour does not depend on the environment it is started from.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from localcloud.emulator import aws_events, function_environment, patching, shutdown

_HOST = "127.0.0.1"
# The modules with a function `install()` that takes no arguments; README.md describes each.
_PATCHES = (
    *("batch_permissions", "batches", "conditions", "event_source_mappings", "exceptions"),
    *("forms", "http_api", "inserts"),
    *("kms_etags", "log_ends", "loopback", "map_settings", "not_emulated", "output_changes"),
    *("path_parameters", "payload_limits", "permissions_boundaries", "queue_urls"),
    *("sagemaker_resources", "shutdown", "sorted_indexes", "state_machine_roles"),
    *("stopped_executions", "tables", "transform_job_tasks", "unpacked_code"),
)


def main() -> None:
    """Read the arguments, prepare the environment, install the patches, serve until SIGTERM."""
    arguments = _arguments()
    try:
        patching.require_version()
        _set_environment(arguments)
        _install_patches(arguments)
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
    parser.add_argument("--region", required=True)
    parser.add_argument("--access-key-id", required=True, help="MiniStack takes any")
    parser.add_argument("--secret-access-key", required=True)
    parser.add_argument("--service-event-mark", required=True, help="TraceHeader of SageMaker's")
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
        MINISTACK_REGION=arguments.region,
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
        AWS_ACCESS_KEY_ID=arguments.access_key_id,
        AWS_SECRET_ACCESS_KEY=arguments.secret_access_key,
        AWS_DEFAULT_REGION=arguments.region,
        AWS_REGION=arguments.region,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
    tempfile.tempdir = None  # read TMPDIR again


def _install_patches(arguments: argparse.Namespace) -> None:
    # Imported here: MiniStack reads its environment when it is imported.
    for name in _PATCHES:
        importlib.import_module(f"localcloud.emulator.{name}").install()
    aws_events.install(arguments.service_event_mark)
    function_environment.install(arguments.state_dir.resolve() / "runtime-packages")


if __name__ == "__main__":
    main()
