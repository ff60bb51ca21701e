"""``imagedrop bulk start``: its uploads, its execution, and dry runs that change nothing."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagedrop.bulk.runs import RUN_NAME_CHARACTERS
from imagedrop.commands import bulk_start
from imagedrop.errors import UserError
from imagedrop.uploads import Sent
from tests.unit.command_line.conftest import Stack

INVENTORY = "s3://images/lists/manifest.json"


def pairs(output: str) -> dict[str, str]:
    """Returns the second column of a table by its first."""
    parts = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in output.splitlines())
    return {each[0]: each[1] for each in parts if len(each) == 2}


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    folder = tmp_path / "My Dogs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"a")
    (folder / "sub" / "b.jpg").write_bytes(b"bb")
    (folder / "Thumbs.db").write_bytes(b"system")
    (folder / ".hidden").write_bytes(b"hidden")
    return folder


def test_a_folder_on_disk_is_uploaded_where_it_triggers_nothing(stack: Stack, dogs: Path) -> None:
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 0, result.output
    assert stack.keys() == ["folders/My Dogs/a.jpg", "folders/My Dogs/sub/b.jpg"]
    assert "Left out 2 hidden or system files" in result.stderr
    ((name, started),) = stack.executions().items()
    assert re.fullmatch(r"my-dogs-\d{8}t\d{6}-1", name)
    assert started == {
        "run": name.removesuffix("-1"),
        "source": {"kind": "folder", "bucket": "images", "prefix": "folders/My Dogs/"},
        "again": False,
        "direct": False,
        "instance_type": "ml.c5.xlarge",
        "instance_count": 1,
        "max_concurrent_transforms": 2,
        "chunk_images": 1000,
        "shard_images": 64,
        "wave_images": 250_000,
    }
    assert f"imagedrop bulk status {started['run']} --wait" in result.stderr


def test_files_that_are_there_are_not_uploaded_again(
    stack: Stack, dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.bulk("start", str(dogs))
    (dogs / "a.jpg").write_bytes(b"c")  # of the same size
    monkeypatch.setattr(bulk_start, "name_run", lambda *_: "second")
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 0, result.output
    assert "1 files are there already" in result.stderr
    assert stack.versions() == {"folders/My Dogs/a.jpg": 2, "folders/My Dogs/sub/b.jpg": 1}
    assert stack.body("folders/My Dogs/a.jpg") == b"c"
    assert len(stack.executions()) == 2


def test_what_something_else_has_put_is_uploaded_again_once(
    stack: Stack, dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.put("folders/My Dogs/a.jpg", b"a")  # no sha256 in its metadata
    for name in ("first", "second", "third"):
        monkeypatch.setattr(bulk_start, "name_run", lambda *_, name=name: name)
        assert stack.bulk("start", str(dogs)).exit_code == 0
    assert stack.versions() == {"folders/My Dogs/a.jpg": 2, "folders/My Dogs/sub/b.jpg": 1}


def test_files_that_are_only_in_s3_take_part_and_are_named(stack: Stack, dogs: Path) -> None:
    stack.put("folders/My Dogs/old\x1b[31m.jpg")
    result = stack.bulk("start", str(dogs))
    said = " ".join(result.stderr.split())
    assert "1 files of s3://images/folders/My Dogs/ are not on this disk" in said
    assert "\x1b[31m" not in result.stderr


def test_no_run_begins_when_a_file_could_not_be_uploaded(
    stack: Stack, dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        bulk_start,
        "upload_all",
        lambda _s3, _bucket, uploads, _there: [Sent(uploads[0], error="disk on fire")],
    )
    result = stack.bulk("start", str(dogs))
    assert isinstance(result.exception, UserError)
    assert "same command again" in result.exception.next_step
    assert "disk on fire" in result.stderr
    assert stack.executions() == {}


def test_an_interrupted_upload_starts_nothing(
    stack: Stack, dogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[Sent]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(bulk_start, "upload_all", interrupted)
    result = stack.bulk("start", str(dogs))
    assert result.exit_code == 130
    assert "No run was started" in result.stderr
    assert stack.executions() == {}


def test_a_folder_in_s3_is_started_as_it_lies(stack: Stack) -> None:
    stack.put("photos/a.jpg")
    options = (
        "--again --direct --instance-type ml.m5.xlarge --instance-count 3 "
        "--max-concurrent-transforms 4 --chunk-images 500 --shard-images 32"
    )
    result = stack.bulk("start", "s3://images/photos", *options.split())
    assert result.exit_code == 0, result.output
    ((_, started),) = stack.executions().items()
    assert started["source"] == {"kind": "folder", "bucket": "images", "prefix": "photos/"}
    assert (started["again"], started["direct"], started["instance_count"]) == (True, True, 3)
    assert (started["chunk_images"], started["shard_images"]) == (500, 32)
    assert stack.keys() == ["photos/a.jpg"]


@pytest.mark.parametrize(
    ("option", "source"),
    [
        (
            ("--inventory", INVENTORY),
            {
                "kind": "inventory",
                "manifest": "s3://images/lists/manifest.json",
                "prefix": "photos/",
            },
        ),
        (
            ("--manifest", "s3://images/lists/keys.txt"),
            {"kind": "list", "uri": "s3://images/lists/keys.txt", "bucket": "images"},
        ),
    ],
)
def test_other_sources(stack: Stack, option: tuple[str, str], source: dict[str, str]) -> None:
    schema = {"fileFormat": "CSV", "fileSchema": "Bucket, Key", "destinationBucket": "a:images"}
    rows = gzip.compress(b'"images","photos/a.jpg"\n')
    stack.put("lists/1.csv.gz", rows)
    manifest = schema | {"files": [{"key": "lists/1.csv.gz"}]}
    stack.put("lists/manifest.json", json.dumps(manifest).encode())
    stack.put("lists/keys.txt", b"photos/a.jpg\n")
    assert stack.bulk("start", "s3://images/photos/", *option).exit_code == 0
    ((_, started),) = stack.executions().items()
    assert started["source"] == source


def test_a_dry_run_counts_and_touches_nothing(stack: Stack, dogs: Path) -> None:
    result = stack.bulk("start", str(dogs), "--dry-run")
    assert result.exit_code == 0, result.output
    told = pairs(result.stdout)
    assert (told["images"], told["bytes"]) == ("2", "3")
    assert {"chunks", "shards", "requests", "time on AWS", "cost on AWS"} <= set(told)
    assert (stack.keys(), stack.executions()) == ([], {})


def test_a_dry_run_lists_s3_as_the_run_would(stack: Stack) -> None:
    for key in ("photos/", "photos/a.jpg", "photos/b.jpg", "photos/.DS_Store", "photos-old/c.jpg"):
        stack.put(key, b"xyz" if key.endswith("jpg") else b"")
    result = stack.bulk("start", "s3://images/photos", "--dry-run", "--chunk-images", "1000")
    told = pairs(result.stdout)
    assert (told["images"], told["bytes"]) == ("2", "6")
    assert told["left out"].startswith("2 ")
    assert stack.executions() == {}


def test_a_dry_run_of_a_list_of_keys(stack: Stack) -> None:
    stack.put("keys.txt", b"photos/a.jpg\ns3://images/photos/b.jpg\nphotos/Thumbs.db\n")
    result = stack.bulk(
        "start", "s3://images/photos/", "--manifest", "s3://images/keys.txt", "--dry-run"
    )
    told = pairs(result.stdout)
    assert told["images"] == "2"
    assert told["bytes"] == "unknown: the source has no sizes"


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-folder",),
        ("s3://",),
        ("s3://no-such-bucket/photos/", "--dry-run"),
        ("s3://images/empty/", "--dry-run"),
        ("s3://images/empty/",),
        ("s3://no-such-bucket/photos/",),
        ("s3://images/a/", "--manifest", "s3://images/no-such-list.txt"),
        ("s3://images/a/", "--inventory", "s3://b/c", "--manifest", "s3://b/d"),
        ("s3://images/a/", "--inventory", "manifest.json"),
        ("demo/photos", "--manifest", "s3://images/keys.txt"),
        ("s3://images/a/", "--shard-images", "5000"),
        ("s3://images/a/", "--dry-run", "--instance-type", "ml.x9.huge"),
    ],
)
def test_what_cannot_work_says_what_to_do_and_starts_nothing(
    stack: Stack, words: tuple[str, ...]
) -> None:
    stack.put("a/1.jpg")
    result = stack.bulk("start", *words)
    assert isinstance(result.exception, UserError), result.output
    assert result.exception.next_step
    assert stack.executions() == {}


def test_a_stack_without_the_workflow_says_so(stack: Stack) -> None:
    del stack.target.outputs["BulkStateMachineArn"]
    result = stack.bulk("start", "s3://images/photos/")
    assert isinstance(result.exception, UserError)
    assert "Deploy" in result.exception.next_step


def test_the_name_of_a_run_fits_whatever_the_folder_is_called(stack: Stack) -> None:
    for folder in ("x" * 300, "Ünïcode 🐶", "-", "a/b"):
        stack.put(f"{folder}/1.jpg")
        stack.bulk("start", f"s3://images/{folder}/")
    assert len(stack.executions()) == 4
    for name in stack.executions():
        run = name.removesuffix("-1")
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*t\d{6}", run)
        assert len(run) <= RUN_NAME_CHARACTERS
