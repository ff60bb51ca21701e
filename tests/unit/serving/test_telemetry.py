"""ONNX Runtime, as we load it, does not report to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.serving.tiny_model import write_archive

ROOT = Path(__file__).parents[3]
# Telemetry has a thread that sends; its connections are too short to be seen reliably.
MAKES_A_SESSION = """
import sys
from pathlib import Path
from model.serving.onnx_model import OnnxModel
model = OnnxModel(Path(sys.argv[1]) / "model.onnx")
print(len(list(Path("/proc/self/task").iterdir())))
"""
IMPORTS_THE_QUANTISER = "import model.quantize"


def run(program: str, home: Path, *arguments: str, **environment: str) -> str:
    """Runs a program with an empty HOME and none of our environment."""
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=kept
        | {"HOME": str(home), "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
        | environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return ran.stdout.decode()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return write_archive(folder)


def test_a_session_writes_no_device_id_and_nothing_else_into_the_home_folder(
    archive: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    run(MAKES_A_SESSION, home, str(archive))
    assert list(home.rglob("*")) == []


def test_a_session_has_no_thread_that_could_report(archive: Path, tmp_path: Path) -> None:
    as_we_load_it = run(MAKES_A_SESSION, tmp_path / "home", str(archive))
    off = run(MAKES_A_SESSION, tmp_path / "other", str(archive), ORT_DISABLE_TELEMETRY="1")
    assert as_we_load_it == off


def test_quantising_writes_nothing_into_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run(IMPORTS_THE_QUANTISER, home)
    assert list(home.rglob("*")) == []
