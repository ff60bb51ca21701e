"""Errors of files and disks: one line with the next step, exit code 1, and no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagedrop.commands.demo import run_demo
from imagedrop.errors import UserError, disk_error
from imagedrop.models.model_files import make_archive
from tests.fakes import jpeg

ROOT = Path(__file__).parents[3]


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imagedrop", *words],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize(
    "words",
    [pytest.param(("--help",), marks=pytest.mark.thorough), ("cost", "--images", "10")],
)
def test_full_disk_behind_the_output_is_told(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = run(*words, stdout=full)
    assert ended.returncode == 1
    assert "The output could not be written: No space left on device." in ended.stderr
    assert "→ Free space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_closed_output_is_no_bug() -> None:
    command = f"exec {sys.executable} -m imagedrop cost --images 10 >&-"
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in ended.stderr


def test_output_is_utf8_in_every_locale() -> None:
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    ended = run("cost", "--help", stdout=subprocess.PIPE, env=ascii_only)
    assert ended.returncode == 0
    assert "╭" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_full_disk_behind_an_archive_is_not_taken_for_a_bad_model() -> None:
    with pytest.raises(OSError, match="No space left"):
        make_archive(ROOT / "functions/default_model/model.tar.gz", Path("/dev/full"))
    with pytest.raises(UserError, match="is not a model"):
        make_archive(ROOT / "functions/nothing", Path("/dev/full"))


def test_file_in_the_place_of_an_output_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for label in ("cat", "dog"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "1.jpg").write_bytes(jpeg(len(label)))
    ended = run("data", "check", "data", "--output-dir", "file", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-2:] == [
        "file: File exists.",
        "→ Give another path, or move the file out of the way.",
    ]


@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        (errno.ENOSPC, "Free space"),
        (errno.EROFS, "a disk that can be written"),
        (errno.EACCES, "Allow it"),
        (errno.EIO, "Correct that"),
    ],
)
def test_every_error_of_a_disk_names_the_file_and_a_next_step(code: int, next_step: str) -> None:
    error = disk_error(OSError(code, "ignored", b"out/caf\xe9.html"))
    assert str(error).startswith("out/caf\\xdce9.html: ")
    assert next_step in error.next_step


def test_demo_reads_the_home_folder_that_make_passes_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"There is no folder {tmp_path}/Pictures"):
        run_demo(Path("~/Pictures"))
    with pytest.raises(UserError, match="There is no folder ~no-such-user/x"):
        run_demo(Path("~no-such-user/x"))


@pytest.mark.parametrize("typed", ["~/Pictures/dogs", "'My \"best\" dogs'", "/a/`b`"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_make_demo_passes_the_folder_whole(tmp_path: Path, shell: str, typed: str) -> None:
    program = tmp_path / "imagedrop"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    quoted = typed if typed[0] in "~'" else f"'{typed}'"
    ended = subprocess.run(
        [shell, "-c", f"make -C {ROOT} -s demo BIN={tmp_path} SUBMAKE=: IMAGES={quoted}"],
        capture_output=True,
        text=True,
        check=True,
    )
    command, folder, _ = ended.stdout.split("|")
    assert (command, os.path.expanduser(folder)) == ("demo", os.path.expanduser(typed.strip("'")))
