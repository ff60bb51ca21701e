"""``python -m model.serving --model-dir DIR --host 127.0.0.1 --port N``: serve under uvicorn."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from model.serving.app import create_app
from model.serving.logs import log_as_json

# SageMaker kills a container 30 seconds after it asked it to end.
SHUTDOWN_SECONDS = 25
# Longer than the pooled connections of SageMaker and of botocore stay idle (60 s), so that it is
# never the server that closes a connection which is about to be used again.
KEEP_ALIVE_SECONDS = 75


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first."""
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
