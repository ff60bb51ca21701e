"""Serve the page until the user stops it."""

from __future__ import annotations

import contextlib
import html
import logging
import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from imagedrop.estimates.month import Mode, month_of
from imagedrop.page.server import PageServer
from imagedrop.page.signed_api import TIMEOUT_SECONDS, SignedApi
from imagedrop.page.visitors import Doorkeeper
from imagedrop.target import Target
from imagedrop.target_name import TargetName
from page.files import bucket_origins, security_headers

HOST = "127.0.0.1"
TOKEN_BYTES = 24
STOP_SECONDS = 1
# Thumbnails of one screen.
PARALLEL_CALLS = 32


@dataclass(frozen=True, slots=True)
class Hosting:
    """A server that is ready to run, and the page's address."""

    address: str
    server: uvicorn.Server
    listening: socket.socket

    def run(self) -> None:
        """Serves until Ctrl-C or SIGTERM."""
        with contextlib.suppress(KeyboardInterrupt):
            self.server.run(sockets=[self.listening])


@contextlib.contextmanager
def hosting(target: Target, name: TargetName) -> Iterator[Hosting]:
    """Prepares the page of a deployed stack on a free port of the loopback interface.

    Args:
        name: the target's name; the page prints it in the commands that it shows.
    """
    with contextlib.closing(socket.create_server((HOST, 0), backlog=128)) as listening:
        port = listening.getsockname()[1]
        doorkeeper = Doorkeeper(f"{HOST}:{port}", secrets.token_urlsafe(TOKEN_BYTES))
        # A local target never uses a proxy.
        http = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            trust_env=name is TargetName.AWS,
            limits=httpx.Limits(max_connections=PARALLEL_CALLS),
        )
        app = PageServer(
            doorkeeper,
            SignedApi(target.outputs["ApiUrl"].rstrip("/"), target.session, http),
            security_headers(upload_origins(target)),
            host_facts(target, name),
        )
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,  # the token is in every path
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        server = uvicorn.Server(config)
        # The user need not know of calls that Ctrl-C interrupts.
        with quiet(lambda: server.should_exit):
            yield Hosting(doorkeeper.address, server, listening)


@contextlib.contextmanager
def quiet(is_stopping: Callable[[], bool]) -> Iterator[None]:
    """Drops uvicorn's messages while the server is being stopped."""

    def is_news(_: logging.LogRecord) -> bool:
        return not is_stopping()

    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)


def upload_origins(target: Target) -> list[str]:
    """Returns the origins to which a presigned form of the images bucket may lead."""
    if target.endpoint_url is not None:
        return [target.endpoint_url]
    return bucket_origins(target.images_bucket, target.session.region_name)


def host_facts(target: Target, name: TargetName) -> dict[str, Any]:
    """Returns what the page says about where it is, and what images cost there."""
    place = "this machine" if name is TargetName.LOCAL else f"AWS, {target.session.region_name}"
    return {
        "place": place,
        "target": str(name),
        "bucket": target.images_bucket,
        "dollars_per_image": sum(month_of(1_000_000, Mode.DROP).values()) / 1_000_000,
        "sign_in": None,
    }


@contextlib.contextmanager
def opened_in_browser(
    address: str, open_url: Callable[[str], Any] = webbrowser.open
) -> Iterator[None]:
    """Opens the page in the user's browser, through a file that the user alone can read.

    The address holds the token, and other users of this machine can read a process's arguments.
    """
    with tempfile.TemporaryDirectory(prefix="imagedrop-page-") as folder:
        file = Path(folder) / "imagedrop.html"
        file.write_text(
            '<!doctype html><meta charset="utf-8"><title>imagedrop</title>'
            f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">'
        )
        # A browser in the terminal would not return before it is left.
        threading.Thread(target=open_url, args=(file.as_uri(),), daemon=True).start()
        yield
