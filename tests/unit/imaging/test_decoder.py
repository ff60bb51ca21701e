"""Whatever a file does to its decoder, there is a verdict, and the next image is prepared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imaging import Prepared, Rejection, RejectReason, prepare
from imaging.decoder import Decoder, DecoderError
from imaging.thumbnail import make_thumbnail
from tests.fakes import SPEC, jpeg

REPOSITORY = Path(__file__).parents[3]
# The system counts whole seconds from the process's start: this leaves the rest of the first one.
SHORTEST = {"cpu_seconds": 0}


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


@pytest.mark.parametrize("data", [jpeg(), jpeg(200), b"", b"text", jpeg()[:200]])
def test_verdict_is_that_of_preparing_here(decoder: Decoder, data: bytes) -> None:
    assert decoder.prepare(data, SPEC) == prepare(data, SPEC)


@pytest.mark.parametrize("data", [jpeg(), b"", b"text", jpeg()[:200]])
def test_a_thumbnail_is_that_of_making_it_here(decoder: Decoder, data: bytes) -> None:
    assert decoder.thumbnail(data, 256) == make_thumbnail(data, 256)


def test_a_file_that_takes_too_long_to_decode_has_no_thumbnail(tmp_path: Path) -> None:
    decoder = broken_by(tmp_path, "while True: pass", **SHORTEST)
    try:
        assert decoder.thumbnail(b"BAD", 256) == Rejection(RejectReason.TOO_SLOW, "signal 24")
        assert decoder.thumbnail(jpeg(), 256) == make_thumbnail(jpeg(), 256)
    finally:
        decoder.close()


def test_process_starts_with_the_first_image_and_is_kept(decoder: Decoder) -> None:
    assert decoder.process_id is None
    decoder.prepare(jpeg(), SPEC)
    first = decoder.process_id
    decoder.prepare(jpeg(), SPEC)
    assert decoder.process_id == first


def test_threads_take_turns(decoder: Decoder) -> None:
    files = [jpeg(shade) for shade in range(0, 200, 10)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda data: decoder.prepare(data, SPEC), files))
    assert found == [prepare(data, SPEC) for data in files]


def broken_by(tmp_path: Path, body: str, **limits: int) -> Decoder:
    """A decoder whose `prepare` does something else first, for files that begin with BAD."""
    made = Decoder(**limits)
    program = tmp_path / "process.py"
    program.write_text(
        "import sys, runpy, os, signal\n"
        "import imaging, imaging.preparation as real\n"
        "plain = real.prepare\n"
        "def prepare(data, spec):\n"
        "    if data.startswith(b'BAD'):\n"
        f"        {body}\n"
        "    return plain(data, spec)\n"
        "real.prepare = prepare\n"
        "import imaging.decoder_process as process\n"
        "process.prepare = prepare\n"
        "small = process.make_thumbnail\n"
        "process.make_thumbnail = lambda data, size: "
        "prepare(data, None) if data.startswith(b'BAD') else small(data, size)\n"
        "process.main()\n"
    )
    made.program = program
    return made


@pytest.mark.parametrize(
    ("body", "limits", "reason", "times"),
    [
        pytest.param("while True: pass", SHORTEST, RejectReason.TOO_SLOW, 1, id="endless"),
        pytest.param(
            "bytearray(600 * 1024 * 1024)", {}, RejectReason.TOO_MUCH_MEMORY, 2, id="memory"
        ),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGSEGV)", {}, RejectReason.DECODER_CRASHED, 2, id="crash"
        ),
    ],
)
def test_file_that_breaks_its_decoder_is_rejected_and_the_next_is_prepared(
    tmp_path: Path, body: str, limits: dict[str, int], reason: RejectReason, times: int
) -> None:
    decoder = broken_by(tmp_path, body, **limits)
    try:
        for _ in range(times):
            outcome = decoder.prepare(b"BAD", SPEC)
            assert isinstance(outcome, Rejection)
            assert outcome.reason is reason
            assert isinstance(decoder.prepare(jpeg(), SPEC), Prepared)
    finally:
        decoder.close()


def test_crash_that_does_not_come_again_is_no_verdict(tmp_path: Path) -> None:
    mark = tmp_path / "crashed"
    body = (
        f"(open({str(mark)!r}, 'x').close(), os.kill(os.getpid(), signal.SIGSEGV)) "
        f"if not os.path.exists({str(mark)!r}) else None; data = data[3:]"
    )
    decoder = broken_by(tmp_path, body)
    try:
        assert decoder.prepare(b"BAD" + jpeg(), SPEC) == prepare(jpeg(), SPEC)
        assert mark.exists()
    finally:
        decoder.close()


def test_killed_from_outside_is_tried_again_and_never_a_verdict(
    tmp_path: Path, decoder: Decoder
) -> None:
    decoder.prepare(jpeg(), SPEC)
    assert decoder.process_id is not None
    os.kill(decoder.process_id, signal.SIGKILL)
    assert decoder.prepare(jpeg(), SPEC) == prepare(jpeg(), SPEC)
    always = broken_by(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    try:
        with pytest.raises(DecoderError, match="from outside"):
            always.prepare(b"BAD", SPEC)
        assert isinstance(always.prepare(jpeg(), SPEC), Prepared)
    finally:
        always.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end_of_the_process_group_leaves_the_image_under_way_its_process(
    decoder: Decoder, number: signal.Signals
) -> None:
    decoder.prepare(jpeg(), SPEC)
    process_id = decoder.process_id
    assert process_id is not None
    os.kill(process_id, number)
    assert isinstance(decoder.prepare(jpeg(), SPEC), Prepared)
    assert decoder.process_id == process_id


def test_bug_in_the_decoder_is_told_with_its_traceback(tmp_path: Path) -> None:
    decoder = broken_by(tmp_path, "raise RuntimeError('a bug')")
    try:
        with pytest.raises(DecoderError, match="RuntimeError: a bug"):
            decoder.prepare(b"BAD", SPEC)
        assert isinstance(decoder.prepare(jpeg(), SPEC), Prepared)
    finally:
        decoder.close()


def test_lying_answers_of_a_taken_over_process_are_errors(tmp_path: Path) -> None:
    lies = (b"\xff" * 8, b"\0\0\0\x02[]", b'\0\0\0\x0c{"format":1}')
    for lie in lies:
        decoder = broken_by(tmp_path, f"os.write(1, {lie!r}); os._exit(0)")
        with pytest.raises(DecoderError):
            decoder.prepare(b"BAD", SPEC)
        decoder.close()


def test_process_holds_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    decoder = Decoder()
    decoder.prepare(jpeg(), SPEC)
    environment = Path(f"/proc/{decoder.process_id}/environ").read_bytes()
    decoder.close()
    assert b"AWS_" not in environment


def test_process_ends_when_the_one_that_asks_is_killed(tmp_path: Path) -> None:
    program = (
        "from imaging.decoder import Decoder; from tests.fakes import SPEC, jpeg; import time\n"
        "d = Decoder(); d.prepare(jpeg(), SPEC); print(d.process_id, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'functions'}:{REPOSITORY}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and "Z" not in _state(child):
        assert time.monotonic() < deadline, "the decoder's process outlives its parent"
        time.sleep(0.05)


def _state(process_id: int) -> str:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().split(") ")[1][:1]
    except FileNotFoundError:
        return "Z"


def test_who_leaves_decoding_to_it_never_imports_pillow() -> None:
    program = (
        "import sys; from imaging.decoder import Decoder; from tests.fakes import SPEC\n"
        "import imaging, pipeline.classify_images; assert 'PIL.Image' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program.replace("; from tests.fakes import SPEC", "")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "functions")},
        check=True,
    )
