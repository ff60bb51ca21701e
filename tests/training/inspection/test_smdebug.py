"""SageMaker Debugger's own library, under its own interpreter: hook, trial, custom rule."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from localcloud.environments import tools

from .smdebug_hook import strtobool

PYTHON = tools() / "smdebug" / "bin" / "python"
PROGRAM = Path(__file__).with_name("smdebug_program.py")
REPOSITORY = Path(__file__).parents[3]


@pytest.mark.slow
def test_smdebug_saves_reads_back_and_judges_on_todays_torch_and_numpy(tmp_path: Path) -> None:
    assert PYTHON.exists(), "install it: make .tools/smdebug/.installed"

    done = subprocess.run(
        [PYTHON, PROGRAM, sysconfig.get_paths()["purelib"], tmp_path],
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'functions'}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    saved = json.loads(done.stdout.splitlines()[-1])
    for network in saved.values():
        assert network["steps"] == [0, 2, 4]
        assert len(network["gradients"]) == 4
        assert network["relu_inputs"] == ["relu_input_0"]
        assert network["loss_as_saved"] == pytest.approx(network["loss_as_it_was"], rel=1e-6)
    assert saved["healthy"]["vanishing_at"] is None
    assert saved["vanishing"]["vanishing_at"] == 0


@pytest.mark.parametrize("word", ["y", "Yes", "t", "TRUE", "on", "1"])
def test_shim_of_distutils_knows_yes(word: str) -> None:
    assert strtobool(word) == 1


@pytest.mark.parametrize("word", ["n", "No", "f", "FALSE", "off", "0"])
def test_shim_of_distutils_knows_no(word: str) -> None:
    assert strtobool(word) == 0


def test_shim_of_distutils_refuses_everything_else() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        strtobool("perhaps")
