"""``python -m localcloud.sagemaker --port N --state-dir DIR --aws-endpoint-url URL``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import uvicorn

from localcloud.sagemaker.quotas import ESTABLISHED, NEW_ACCOUNT
from localcloud.sagemaker.server import Application
from localcloud.sagemaker.service import Service
from localcloud.sagemaker.state import Identity, StateInUseError


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 when another stand-in uses the state folder."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request as INFO
    quotas = NEW_ACCOUNT if arguments.new_account else ESTABLISHED
    state_dir, url = arguments.state_dir.resolve(), arguments.aws_endpoint_url
    try:
        service = Service(state_dir, url, Identity(), quotas)
    except StateInUseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    uvicorn.run(
        Application(service),
        host="127.0.0.1",
        port=arguments.port,
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        # boto3 keeps its connections: a short limit would make it meet closed ones.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m localcloud.sagemaker", description="A stand-in for SageMaker."
    )
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--state-dir", type=Path, required=True, help="survives a restart")
    parser.add_argument("--aws-endpoint-url", required=True, help="where S3 is")
    parser.add_argument("--new-account", action="store_true", help="quotas of a new account")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
