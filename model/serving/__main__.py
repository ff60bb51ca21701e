"""Serves under uvicorn: ``python -m model.serving --model-dir DIR --host 127.0.0.1 --port N``."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from model.serving.app import create_app
from model.serving.logs import log_as_json

# SageMaker kills a container 30 seconds after SIGTERM.
SHUTDOWN_SECONDS = 25
# Longer than SageMaker and botocore keep idle connections in their pools (60 s), so that the server
# never closes a connection that is about to be reused.
KEEP_ALIVE_SECONDS = 75


def main() -> None:
    """Serves until SIGTERM or SIGINT; requests in progress are finished first."""
    parser = argparse.ArgumentParser(prog="python -m model.serving", description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="extracted model archive")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    log_as_json()
    uvicorn.run(
        create_app(arguments.model_dir),
        host=arguments.host,
        port=arguments.port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
