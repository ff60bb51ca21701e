"""Counts the processor's instructions for one image on each path of the drop.

    .venv/bin/python -m bench.instructions [--json FILE]

Instruction counts hardly vary with load, so a slower commit shows where a clock would not.
Valgrind's callgrind runs this module once more and counts between marks: calls of a C function
that nothing else calls, at which callgrind writes its counts and starts again from zero.

Each count is also given as a ratio to a reference kernel of plain Python, JSON and zlib, which
takes out most of the difference between builds of Python.
tests/parity/test_instruction_counts.py keeps the ratios under bounds.

Valgrind's processor has no AVX-512, so a count is not the time on the machine at hand: use it to
compare commits.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse

from archive.reading import check_archive
from imaging import Prepared, prepare
from imaging.appearance import appearance_of
from imaging.pixel_encoding import PIXEL_ENCODINGS
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import parse_answers
from pipeline.clients import BRIEF, client
from pipeline.events import parse_queue_body

ROOT = Path(__file__).parents[1]
DEFAULT_ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"
PHOTO = ROOT / "demo" / "photos" / "pug.jpg"
MARK = "ctermid"  # of the C library, called by os.ctermid: names the terminal
REPEATS = {"reference": 20, "prepare": 3, "look": 20, "parse": 50, "answer": 50, "write": 20}
Work = Callable[[], object]


def instructions() -> dict[str, int]:
    """Returns the instructions for one image on each path, and for one run of the reference.

    Raises:
        RuntimeError: valgrind failed; its last lines are in the message.
        FileNotFoundError: valgrind is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--dump-before={MARK}"),
            f"--callgrind-out-file={folder}/counts",
            *(sys.executable, "-m", "bench.instructions", "--counted"),
        ]
        done = subprocess.run(
            command,
            cwd=ROOT,
            # Hashes of text decide how dictionaries collide.
            env=os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"valgrind failed: {done.stderr[-2000:]}")
        counts = [_total(Path(folder, f"counts.{number}")) for number in _dumps(folder)]
    # Before and after each path there is a mark, so that each second dump is a path's.
    return {
        name: count // repeats
        for (name, repeats), count in zip(REPEATS.items(), counts[1::2], strict=True)
    }


def _dumps(folder: str) -> list[int]:
    return sorted(int(path.suffix[1:]) for path in Path(folder).glob("counts.*"))


def _total(path: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"callgrind wrote no total into {path.name}")
    return int(found[1])


def run_counted() -> None:
    """Runs each path between two marks; callgrind watches."""
    paths = {
        "reference": reference(),
        "prepare": prepare_path(),
        "look": look_path(),
        "parse": parse_path(),
        "answer": answer_path(),
        "write": write_path(),
    }
    for work in paths.values():
        work()  # imports and caches
    _begin_counting()
    for name, work in paths.items():
        work()
        os.ctermid()
        for _ in range(REPEATS[name]):
            work()
        os.ctermid()


def _begin_counting() -> None:
    """Tells callgrind to count: until then the process runs ten times as fast."""
    command = ["vgdb", f"--pid={os.getpid()}", "instrumentation", "on"]
    subprocess.run(command, check=True, capture_output=True)


def reference() -> Work:
    """Returns a kernel that no commit of ours changes."""
    rows = [{"label": f"label {number}", "confidence": number / 100} for number in range(100)]

    def run() -> int:
        text = json.dumps(rows)
        return zlib.crc32(zlib.compress(text.encode())) + sum(len(row) for row in json.loads(text))

    return run


def prepare_path() -> Work:
    """Returns the work from a JPEG's bytes to its part of the endpoint's request."""

    spec = check_archive(DEFAULT_ARCHIVE).card.image_spec
    data, encoding = PHOTO.read_bytes(), PIXEL_ENCODINGS["webp"]

    def run() -> bytes:
        prepared = prepare(data, spec)
        assert isinstance(prepared, Prepared)
        return encoding.encode(prepared.pixels, spec)

    return run


def look_path() -> Work:
    """Returns the work from a photo's pixels to how it looks, for the counters of drift."""

    spec = check_archive(DEFAULT_ARCHIVE).card.image_spec
    prepared = prepare(PHOTO.read_bytes(), spec)
    assert isinstance(prepared, Prepared)
    return lambda: appearance_of(prepared.pixels)


def parse_path() -> Work:
    """Returns the work from a queue message's text to the reference of its image."""

    body = json.dumps({"Records": [_notification()]})
    return lambda: parse_queue_body(body)


def answer_path() -> Work:
    """Returns the work from the endpoint's answer to checked answers, an image's share."""

    one = json.dumps([_answer()]).encode()
    return lambda: parse_answers(one, 1)


def write_path() -> Work:
    """Returns the work from an answer to a signed request of DynamoDB and its read response."""

    settings = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    os.environ.update(dict.fromkeys(settings, "us-east-1"))  # any text will do: nothing is sent
    dynamodb = client("dynamodb", BRIEF)

    class Raw:
        def stream(self, **_options: Any) -> list[bytes]:
            return [b"{}"]

    dynamodb.meta.events.register(
        "before-send.dynamodb.*",
        lambda request, **_: AWSResponse(request.url, 200, {}, Raw()),
    )
    table = PredictionsTable(dynamodb, "predictions")
    [ref] = parse_queue_body(json.dumps({"Records": [_notification()]}))
    [answer] = parse_answers(json.dumps([_answer()]).encode(), 1)
    prepared = Prepared(b"", "image/jpeg", 1024, 768)

    def run() -> bool:
        record = records.classified(ref, prepared, answer, "2026-11-29T12:00:00.000Z")
        return table.write(record, ref)

    return run


def _notification() -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-29T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "photos", "arn": "arn:aws:s3:::photos"},
            "object": {
                "key": "incoming/dogs/pug+1.jpg",
                "size": 105_000,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "versionId": "3sL4kqtJlcpXroDTDmJ_rmSpXd3dIbrHY",
                "sequencer": "0062E99A88DC407460",
            },
        },
    }


def _answer() -> dict[str, Any]:
    labels = ("pug", "french_bulldog", "boxer", "bullmastiff", "brussels_griffon")
    return {
        "label": "pug",
        "confidence": 0.9,
        "predictions": [
            {"label": label, "confidence": 0.9 / 2**place} for place, label in enumerate(labels)
        ],
        "model": "default@1",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write the counts to this file too")
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.counted:
        run_counted()
        return
    counts = instructions()
    for name, count in counts.items():
        ratio = count / counts["reference"]
        print(f"{name:10} {count:>12,} instructions, {ratio:.3f} of the reference")
    if options.json:
        options.json.write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
