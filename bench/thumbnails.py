"""The cost of a thumbnail: CPU, bytes, and the memory of the process that makes it.

.venv/bin/python -m bench.thumbnails
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.prepare import photo_like
from imaging.decoder import Decoder
from imaging.outcome import Thumbnail
from imaging.thumbnail import make_thumbnail

SIZES = (256, 1024)
PHOTOS = ((640, 480), (4032, 3024), (8064, 6048))
TIMES = 5


def main() -> None:
    """Prints a table."""
    print("photo            file     size   CPU      WebP")
    for width, height in PHOTOS:
        data = photo_like(width, height, 6)
        for size in SIZES:
            made = make_thumbnail(data, size)
            if not isinstance(made, Thumbnail):
                raise TypeError(str(made))
            milliseconds = _cpu_milliseconds(partial(make_thumbnail, data, size))
            print(
                f"{width:5} x {height:5}  {len(data) / 1e6:5.1f} MB {size:5} "
                f"{milliseconds:6.0f} ms {len(made.webp) / 1e3:6.1f} kB"
            )
    decoder = Decoder()
    for size in SIZES:
        decoder.thumbnail(photo_like(*PHOTOS[-1], 6), size)
    status = Path(f"/proc/{decoder.process_id}/status").read_text()
    decoder.close()
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"the decoder's process, at most: {int(peak.split()[1]) / 1e3:.0f} MB")


def _cpu_milliseconds(call: Callable[[], object]) -> float:
    found = []
    for _ in range(TIMES):
        began = time.process_time()
        call()
        found.append(1000 * (time.process_time() - began))
    return statistics.median(found)


if __name__ == "__main__":
    main()
