"""``imagedrop page``: it prints its address, serves the page, and ends cleanly with Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from imagedrop.page.hosting import opened_in_browser
from tests.integration.conftest import REPOSITORY, Stack
from tests.processes import running

STOP_SECONDS = 10


def test_it_serves_the_stack_until_ctrl_c(stack: Stack) -> None:
    with running(
        [sys.executable, "-m", "imagedrop", "page", "--no-browser"],
        cwd=REPOSITORY,
        env=os.environ | {"IMAGEDROP_HOME": str(stack.home), "COLUMNS": "200"},
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        address = ""
        for line in process.stderr:
            address = "".join(re.findall(r"http://\S+", line)) or address
            if "Ctrl-C" in line:
                break
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
        page = httpx.get(address, trust_env=False)
        assert "<title>imagedrop</title>" in page.text
        labels = httpx.get(f"{address}api/labels", trust_env=False, timeout=60).json()["labels"]
        assert "pug" in labels
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0
        assert process.stderr.read().strip() == "Stopped."


def test_without_a_cloud_it_says_how_to_start_one(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "imagedrop", "page"],
        cwd=REPOSITORY,
        env=os.environ | {"IMAGEDROP_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert "imagedrop up" in finished.stderr


def test_the_address_is_no_argument_of_the_browser() -> None:
    """Other users of a machine can read the arguments of every process."""
    opened = threading.Event()
    seen: list[str] = []

    def open_url(url: str) -> None:
        path = Path(unquote(urlsplit(url).path))
        seen.extend([url, path.read_text(), oct(path.parent.stat().st_mode & 0o777)])
        opened.set()

    with opened_in_browser("http://127.0.0.1:1/secret/", open_url):
        assert opened.wait(STOP_SECONDS)
    url, content, mode = seen
    assert url.startswith("file:///")
    assert "secret" not in url
    assert "http://127.0.0.1:1/secret/" in content
    assert mode == "0o700"
