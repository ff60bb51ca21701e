"""No bomb takes much time or memory, or harms the next image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imaging import Prepared, Rejection
from imaging.decoder import Decoder
from tests.bombs import bombs
from tests.fakes import SPEC, jpeg

BOMBS = dict(bombs())
# For a verdict on one core of a busy machine: the promise is 5 s.
VERDICT_SECONDS, PEAK_MB = 5.0, 512


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


def cpu_seconds_and_peak_mb(process_id: int) -> tuple[float, float]:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()
    status = Path(f"/proc/{process_id}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / 100, int(peak.split()[1]) / 1024


def test_there_are_more_than_200_of_many_kinds() -> None:
    assert len(BOMBS) >= 200


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_gets_its_verdict_and_the_next_image_is_prepared(name: str, decoder: Decoder) -> None:
    decoder.prepare(jpeg(), SPEC)
    process_id = decoder.process_id
    assert process_id is not None
    before, _ = cpu_seconds_and_peak_mb(process_id)

    outcome = decoder.prepare(BOMBS[name], SPEC)

    assert isinstance(outcome, Prepared | Rejection)
    assert decoder.process_id == process_id, "the process had to be ended"
    after, peak_mb = cpu_seconds_and_peak_mb(process_id)
    assert after - before < VERDICT_SECONDS
    assert peak_mb < PEAK_MB
    assert isinstance(decoder.prepare(jpeg(), SPEC), Prepared)
