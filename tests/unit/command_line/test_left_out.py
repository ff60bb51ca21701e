"""`send` and `bulk start` name the files left out, do the rest, and end with 1."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from imagedrop.cli import app
from imagedrop.commands import send
from imagedrop.errors import UserError
from imagedrop.target import Target, TargetName
from imagedrop.uploads import plan_uploads
from tests.unit.command_line.conftest import Stack


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
