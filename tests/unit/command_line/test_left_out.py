"""`send` and `bulk start` name the files left out, do the rest, and end with 1."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from imagedrop import uploads
from imagedrop.cli import app
from imagedrop.commands import bulk_start, send
from imagedrop.errors import UserError
from imagedrop.target import Target
from imagedrop.target_name import TargetName
from imagedrop.uploads import Sent, plan_uploads, upload_all
from tests.unit.command_line.conftest import Stack
from training.data import folders
from training.data.dataset import file_sha256


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    folder = tmp_path / "dogs"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.jpg", "with\nnewline.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


KEYS = ["dogs/a.jpg", "dogs/sub/b.jpg", "dogs/with\nnewline.jpg"]


def not_utf8(folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")


def linked_folder(folder: Path) -> None:
    (folder / "linked").symlink_to(folder / "sub")


def loop_of_folders(folder: Path) -> None:
    (folder / "sub/loop").symlink_to(folder)


def broken_link(folder: Path) -> None:
    (folder / "gone.jpg").symlink_to("nothing.jpg")


def link_to_itself(folder: Path) -> None:
    (folder / "self.jpg").symlink_to("self.jpg")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jpg")


def long_path(folder: Path) -> None:
    place = folder.joinpath(*["x" * 200] * 6)
    place.mkdir(parents=True)
    (place / "1.jpg").write_bytes(b"x")


FAULTS = {
    not_utf8: "caf\\xdce9.jpg has a name that is not UTF-8",
    linked_folder: "linked is a link to a folder",
    loop_of_folders: "loop is a link to a folder",
    broken_link: "gone.jpg is a link that leads nowhere",
    link_to_itself: "self.jpg is a link that leads nowhere",
    pipe: "pipe.jpg is neither a file nor a folder",
    long_path: "has a path longer than 1024 bytes",
}
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.__name__)


@pytest.fixture
def sending(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    def find(_name: TargetName) -> Target:
        return stack.target

    monkeypatch.setattr(send, "find_target", find)
    return stack


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_folder_without_faults_is_sent_with_code_0(sending: Stack, dogs: Path) -> None:
    assert run("send", str(dogs)).exit_code == 0
    assert sending.keys() == [f"incoming/{key}" for key in KEYS]


@every_fault
def test_send_names_what_is_missing_and_sends_the_rest(
    sending: Stack, dogs: Path, fault: object
) -> None:
    assert callable(fault)
    fault(dogs)
    result = run("send", str(dogs))
    assert result.exit_code == 1, result.output
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Left out"))
    assert FAULTS[fault] in line
    assert sending.keys() == [f"incoming/{key}" for key in KEYS]


@every_fault
def test_bulk_start_runs_over_the_rest_and_ends_with_1(
    stack: Stack, dogs: Path, fault: object
) -> None:
    assert callable(fault)
    fault(dogs)
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 1, result.output
    assert FAULTS[fault] in result.stderr
    assert stack.keys() == [f"folders/{key}" for key in KEYS]
    assert len(stack.executions()) == 1
    assert stack.bulk("start", str(dogs), "--dry-run").exit_code == 1


@pytest.fixture
def unreadable(dogs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there and that a disk refuses to read; no permission stops root."""
    path = dogs / "sub/b.jpg"

    def sha256(of: Path) -> str:
        if of == path:
            raise OSError(errno.EIO, "Input/output error", str(of))
        return file_sha256(of)

    monkeypatch.setattr(uploads, "file_sha256", sha256)
    return path


@pytest.fixture
def forbidden(dogs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that this user may not read; root may read every file."""
    path = dogs / "sub/b.jpg"
    monkeypatch.setattr(folders.os, "access", lambda of, _: of != path)
    return path


REST = ["dogs/a.jpg", "dogs/with\nnewline.jpg"]


def test_send_names_what_cannot_be_read_and_sends_the_rest(
    sending: Stack, dogs: Path, unreadable: Path
) -> None:
    result = run("send", str(dogs))
    assert result.exit_code == 1, result.output
    assert f"Not uploaded: {unreadable}" in result.stderr
    assert sending.keys() == [f"incoming/{key}" for key in REST]


def test_send_names_what_may_not_be_read_and_sends_the_rest(
    sending: Stack, dogs: Path, forbidden: Path
) -> None:
    result = run("send", str(dogs))
    assert result.exit_code == 1, result.output
    assert f"{forbidden} is a file that cannot be read" in result.stderr
    assert sending.keys() == [f"incoming/{key}" for key in REST]


def test_bulk_start_runs_over_what_can_be_read(stack: Stack, dogs: Path, unreadable: Path) -> None:
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 1, result.output
    assert f"Not uploaded: {unreadable}" in result.stderr
    assert "Started:" in result.stderr
    assert stack.keys() == [f"folders/{key}" for key in REST]
    assert len(stack.executions()) == 1


def test_bulk_start_and_its_dry_run_name_what_may_not_be_read(
    stack: Stack, dogs: Path, forbidden: Path
) -> None:
    for words, runs in (("--dry-run",), 0), ((), 1):
        result = stack.bulk("start", str(dogs), *words)
        assert result.exit_code == 1, result.output
        assert f"{forbidden} is a file that cannot be read" in result.stderr
        assert len(stack.executions()) == runs
    assert stack.keys() == [f"folders/{key}" for key in REST]


def test_file_that_vanishes_before_its_upload_is_named_and_the_rest_runs(
    stack: Stack, dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanishing(*given: Any) -> Iterator[Sent]:
        (dogs / "sub/b.jpg").unlink()
        return upload_all(*given)

    monkeypatch.setattr(bulk_start, "upload_all", vanishing)
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 1, result.output
    assert "sub/b.jpg: [Errno 2] No such file" in result.stderr
    assert len(stack.executions()) == 1


def test_earlier_version_of_what_cannot_be_read_takes_part_and_is_told(
    stack: Stack, dogs: Path, unreadable: Path
) -> None:
    stack.put("folders/dogs/sub/b.jpg", b"earlier")
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 1
    assert "were uploaded before, and take part as they were" in " ".join(result.stderr.split())
    assert stack.body("folders/dogs/sub/b.jpg") == b"earlier"


def test_no_run_begins_when_nothing_can_be_read(
    stack: Stack, dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sha256(of: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(of))

    monkeypatch.setattr(uploads, "file_sha256", sha256)
    result = stack.bulk("start", str(dogs))
    assert isinstance(result.exception, UserError)
    assert (stack.keys(), stack.executions()) == ([], {})


def test_many_failures_are_counted(
    sending: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(13):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")

    def sha256(of: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(of))

    monkeypatch.setattr(uploads, "file_sha256", sha256)
    result = run("send", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr.count("Input/output error") == 10
    assert "Not uploaded: 3 more" in result.stderr


def test_what_systems_leave_is_counted_and_is_no_failure(sending: Stack, dogs: Path) -> None:
    for name in ("__MACOSX/._a.jpg", "sub/@eaDir/b.jpg", ".thumbnails/a.jpg", ".DS_Store"):
        (dogs / name).parent.mkdir(parents=True, exist_ok=True)
        (dogs / name).write_bytes(b"x")
    result = run("send", str(dogs))
    assert result.exit_code == 0
    assert "Left out 4 hidden or system files" in result.stderr
    assert sending.keys() == [f"incoming/{key}" for key in KEYS]


def test_folder_in_which_nothing_is_left_says_why(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nothing.jpg")
    for path in (tmp_path, tmp_path / "gone.jpg"):
        with pytest.raises(UserError, match=r"no files to send.*leads nowhere"):
            plan_uploads([path])


def test_link_that_the_user_names_is_followed(tmp_path: Path, dogs: Path) -> None:
    (tmp_path / "link").symlink_to(dogs)
    uploads, left_out = plan_uploads([tmp_path / "link"], "")
    assert [each.key for each in uploads] == KEYS
    assert left_out == []
