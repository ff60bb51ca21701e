"""One serving container: a subprocess that runs the archive's own ``model.serving``."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from localcloud.processes import free_ports
from localcloud.sagemaker import launch
from localcloud.sagemaker.container_client import ContainerClient, ContainerConnectionError

logger = logging.getLogger(__name__)

PING_INTERVAL_SECONDS = 0.05
PING_TIMEOUT_SECONDS = 2.0  # SageMaker's own limit for an answer to /ping
STOP_TIMEOUT_SECONDS = 5.0
STARTS_BEFORE_GIVING_UP = 3
RESTART_PAUSE_SECONDS = 0.2  # doubles with every start in a row that fails
MAX_RESTART_PAUSE_SECONDS = 10.0
LOG_BYTES_BEFORE_ROTATION = 5_000_000
# Of the environment that started the stand-in, a container sees only these.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class ContainerNotHealthyError(Exception):
    """The container never answered ``/ping`` with 200."""


class Container:
    """Starts, watches, restarts and stops one subprocess. ``client`` is None while it is down.

    Args:
        model_dir: an extracted archive.
        log_path: the file for its output.
    """

    def __init__(self, model_dir: Path, log_path: Path, environment: Mapping[str, str]) -> None:
        self._model_dir, self._log_path = model_dir, log_path
        self._environment = {
            **inherited(),
            **environment,
            "PYTHONPATH": str(model_dir),
            "PYTHONUNBUFFERED": "1",
        }
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.client: ContainerClient | None = None

    @property
    def process_id(self) -> int | None:
        """The subprocess' id while there is one."""
        return self._process.pid if self._process else None

    async def start(self, timeout_seconds: float) -> None:
        """Return once ``/ping`` says 200; ``ContainerNotHealthyError`` when it never does."""
        try:
            async with asyncio.timeout(timeout_seconds):
                for _ in range(STARTS_BEFORE_GIVING_UP):
                    if await self._start_once():
                        self._watch = asyncio.create_task(self._restart_when_it_ends())
                        return
        except TimeoutError:
            logger.warning("no answer to /ping within %s s", timeout_seconds)
        except BaseException:
            await self.stop()
            raise
        await self.stop()
        logger.warning("container not healthy, its output is in %s", self._log_path)
        raise ContainerNotHealthyError(str(self._log_path))

    async def stop(self) -> None:
        """Stop the subprocess: SIGTERM first, SIGKILL after some seconds."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self._disconnect()
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _start_once(self) -> bool:
        """Spawn and ping until healthy (True) or until the subprocess has ended (False)."""
        (port,) = free_ports([0])
        process = self._process = await self._spawn(port)
        client = ContainerClient(port)
        while process.returncode is None:
            if await _answers_ping(client):
                self.client = client
                return True
            await asyncio.sleep(PING_INTERVAL_SECONDS)
        await client.close()
        logger.warning("container ended with status %s while starting", process.returncode)
        return False

    async def _spawn(self, port: int) -> asyncio.subprocess.Process:
        with _open_log(self._log_path) as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *(launch.__file__, "-m", "model.serving"),
                *("--model-dir", str(self._model_dir), "--host", "127.0.0.1", "--port", str(port)),
                cwd=self._model_dir,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is the stand-in's to handle
            )

    async def _restart_when_it_ends(self) -> None:
        pause_seconds = RESTART_PAUSE_SECONDS
        while self._process is not None:
            status = await self._process.wait()
            logger.warning("container ended with status %s, starting it again", status)
            await self._disconnect()
            await asyncio.sleep(pause_seconds)
            if await self._start_once():
                pause_seconds = RESTART_PAUSE_SECONDS
            else:
                pause_seconds = min(2 * pause_seconds, MAX_RESTART_PAUSE_SECONDS)

    async def _disconnect(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            await client.close()


async def _answers_ping(client: ContainerClient) -> bool:
    try:
        answer = await client.request(
            "GET /ping", max_answer_bytes=1 << 20, timeout_seconds=PING_TIMEOUT_SECONDS
        )
    except (ContainerConnectionError, TimeoutError):
        return False
    return answer.status == 200


def inherited() -> dict[str, str]:
    """The variables of this process that a container sees too."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES_BEFORE_ROTATION:
        path.replace(path.with_suffix(".previous.log"))
    return path.open("ab")
