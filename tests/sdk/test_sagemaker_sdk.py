"""SageMaker's own SDK knows the containers by the same addresses, and sends the same requests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".tools" / "sagemaker" / "bin" / "python"
GOLDEN = sorted((REPOSITORY / "tests" / "unit" / "launch" / "golden").glob("training*.json"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def said() -> Any:
    assert PYTHON.exists(), "install it with: make .tools/sagemaker/.installed"
    finished = subprocess.run(
        [PYTHON, Path(__file__).with_name("with_sdk.py"), *map(str, GOLDEN)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'functions'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


def test_containers_have_the_addresses_that_the_sdk_gives(said: Any) -> None:
    assert len(said["images"]) > 100
    assert [pair for pair in said["images"] if pair[0] != pair[1]] == []


def test_the_sdk_sends_our_requests_unchanged(said: Any) -> None:
    assert len(said["sent"]) == len(GOLDEN) == 3
    for name, arguments in said["sent"].items():
        assert arguments == json.loads(Path(name).read_bytes())
