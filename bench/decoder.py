"""Measures decoding in a separate process: CPU ms an image, and the process's start.

    .venv/bin/python -m bench.decoder

CPU time of both processes together, from the kernel, the two ways in turn. Starts are measured up
to the first answer: by exec, as in production, and by a fork of a process with all imports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time

from bench.prepare import photo_like
from imaging import decoder_process, prepare
from imaging.decoder import CPU_SECONDS, MEMORY_BYTES, Decoder
from model.build_default import IMAGE_SPEC

SIZES = ((500, 375), (1600, 1200), (4032, 3024))
WARM_UP = 5
STARTS = 11


def cpu_ms(pid: int = 0) -> float:
    """CPU time of a process so far, ms: the clock that clock_getcpuclockid(3) names."""
    scheduler_clock = 2
    return time.clock_gettime((~pid << 3) | scheduler_clock) * 1000


def measure_images(rounds: int, decoder: Decoder) -> None:
    print("CPU ms an image, medians: in this process -> in a separate process")
    for width, height in SIZES:
        data = photo_like(width, height, 1)
        here: list[float] = []
        there: list[float] = []
        waited: list[float] = []
        expected = decoder.prepare(data, IMAGE_SPEC)
        process_id = decoder.process_id or 0
        for turn in range(rounds + WARM_UP):
            before = cpu_ms()
            outcome = prepare(data, IMAGE_SPEC)
            between, began, theirs = cpu_ms(), time.perf_counter(), cpu_ms(process_id)
            decoder.prepare(data, IMAGE_SPEC)
            wall = 1000 * (time.perf_counter() - began)
            both = cpu_ms() - between + cpu_ms(process_id) - theirs
            assert outcome == expected
            if turn >= WARM_UP:
                here.append(between - before)
                there.append(both)
                waited.append(wall)
        difference = statistics.median(b - a for a, b in zip(here, there, strict=True))
        print(
            f"  {width:4} x {height:4}, {len(data) / 1e6:4.1f} MB {statistics.median(here):6.2f}"
            f" -> {statistics.median(there):6.2f}   difference {difference:5.2f}"
            f"   wall {statistics.median(waited):6.2f}",
            flush=True,
        )


def exec_start(data: bytes) -> tuple[float, float]:
    """CPU and wall ms up to the first answer, both processes."""
    before, began = cpu_ms(), time.perf_counter()
    decoder = Decoder()
    decoder.prepare(data, IMAGE_SPEC)
    taken = cpu_ms() - before + cpu_ms(decoder.process_id or 0)
    wall = 1000 * (time.perf_counter() - began)
    decoder.close()
    return taken, wall


def fork_start(data: bytes) -> tuple[float, float]:
    """The same by a fork; the import of Pillow, done before, is not counted."""
    before, began = cpu_ms(), time.perf_counter()
    input_, requests = os.pipe()
    output, answers = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        os.dup2(input_, 0)
        os.dup2(answers, 1)
        for end in (input_, requests, output, answers):
            os.close(end)
        sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 - as long as the process
        limits = {"cpu_seconds": CPU_SECONDS, "memory_bytes": MEMORY_BYTES}
        sys.argv[1:] = [json.dumps(limits)]
        decoder_process.main()
        os._exit(0)
    line = json.dumps({"bytes": len(data), "spec": IMAGE_SPEC.to_json()}).encode()
    os.write(requests, len(line).to_bytes(4, "big") + line + data)
    answer = 0
    while answer < IMAGE_SPEC.image_bytes:
        answer += len(os.read(output, 65_536))
    taken = cpu_ms() - before + cpu_ms(process_id), 1000 * (time.perf_counter() - began)
    for end in (input_, requests, output, answers):
        os.close(end)
    os.waitpid(process_id, 0)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    decoder = Decoder()
    measure_images(rounds, decoder)
    decoder.close()
    small = photo_like(64, 48, 1, quality=30)
    print(f"start up to the first answer, ms, medians of {STARTS}")
    for name, start in (("exec", exec_start), ("fork", fork_start)):
        cpu, wall = zip(*(start(small) for _ in range(STARTS)), strict=True)
        print(f"  {name}: CPU {statistics.median(cpu):6.1f}   wall {statistics.median(wall):6.1f}")


if __name__ == "__main__":
    main()
