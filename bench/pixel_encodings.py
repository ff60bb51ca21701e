"""Lossless encodings of prepared images: bytes, CPU, and what both cost on a serverless endpoint.

    .venv/bin/python -m bench.pixel_encodings [--photos FOLDER] [--count 100]

First each encoding by itself, image by image in turn, on one thread: bytes, CPU to encode and to
decode (medians), and dollars a million images for data, for the function's CPU and for the
endpoint's. Then the default model behind the serving application, without a socket, a batch of
each encoding in turn: CPU an image, everything included.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from archive.reading import extract_archive
from bench.drop import PHOTOS, photos
from imagedrop.estimates import prices
from imagedrop.estimates.month import ENDPOINT_VCPUS
from imagedrop.estimates.stack import BATCH_IMAGES, ENDPOINT_MEGABYTES, LAMBDA_MEGABYTES
from imaging import Prepared, prepare
from imaging.pixel_encoding import PIXEL_ENCODINGS
from model.build_default import IMAGE_SPEC
from model.package import DEFAULT_ARCHIVE
from model.serving.app import Application, create_app

SIZE = (IMAGE_SPEC.size, IMAGE_SPEC.size)
ROUNDS = 9


def picture(pixels: bytes) -> Image.Image:
    return Image.frombuffer("RGB", SIZE, pixels, "raw", "RGB", 0, 1)


def saved(pixels: bytes, format_name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture(pixels).save(file, format_name, **options)
    return file.getvalue()


def opened(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.tobytes()


def webp(method: int, quality: int) -> Callable[[bytes], bytes]:
    return lambda pixels: saved(
        pixels, "WEBP", lossless=True, method=method, quality=quality, exact=True
    )


def png(level: int) -> Callable[[bytes], bytes]:
    return lambda pixels: saved(pixels, "PNG", compress_level=level)


def filtered(pixels: bytes) -> bytes:
    """zlib over the difference of each row to the one above: subtraction of whole numbers."""
    row = 3 * IMAGE_SPEC.size
    above = bytes(row) + pixels[:-row]
    return zlib.compress(bytes((a - b) & 0xFF for a, b in zip(pixels, above, strict=True)), 1)


def unfiltered(data: bytes) -> bytes:
    row, differences = 3 * IMAGE_SPEC.size, zlib.decompress(data)
    pixels = bytearray(differences[:row])
    for index in range(row, len(differences)):
        pixels.append((differences[index] + pixels[index - row]) & 0xFF)
    return bytes(pixels)


@dataclass(slots=True)
class Way:
    name: str
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    sizes: list[int] = field(default_factory=list)
    encode_ms: list[float] = field(default_factory=list)
    decode_ms: list[float] = field(default_factory=list)

    def measure(self, pixels: bytes) -> None:
        before = time.process_time()
        data = self.encode(pixels)
        between = time.process_time()
        decoded = self.decode(data)
        after = time.process_time()
        assert decoded == pixels, self.name
        self.sizes.append(len(data))
        self.encode_ms.append(1000 * (between - before))
        self.decode_ms.append(1000 * (after - between))

    def dollars(self) -> float:
        """Dollars a million images for the data and for the CPU that the encoding adds."""
        size = statistics.mean(self.sizes)
        encode, decode = statistics.median(self.encode_ms), statistics.median(self.decode_ms)
        function = (encode + decode / ENDPOINT_VCPUS) * LAMBDA_MEGABYTES / 1024
        endpoint = decode / ENDPOINT_VCPUS * ENDPOINT_MEGABYTES / 1024
        return (
            1e6 * size / 1e9 * prices.ENDPOINT_DATA_GB.dollars
            + 1e3 * function * prices.LAMBDA_GB_SECOND.dollars
            + 1e3 * endpoint * prices.SERVERLESS_ENDPOINT_GB_SECOND.dollars
        )


def ways() -> list[Way]:
    return [
        Way("raw (npy)", bytes, bytes),
        Way("WebP, method 0, quality 0", webp(0, 0), opened),
        Way("WebP, method 0, quality 80", webp(0, 80), opened),
        Way("WebP, method 1, quality 0", webp(1, 0), opened),
        Way("PNG, level 1", png(1), opened),
        Way("PNG, level 6", png(6), opened),
        Way("zlib, level 1", lambda pixels: zlib.compress(pixels, 1), zlib.decompress),
        Way("zlib, level 1, on differences, in Python", filtered, unfiltered),
    ]


def print_encodings(images: list[bytes]) -> None:
    measured = ways()
    for pixels in images:
        for way in measured:
            way.measure(pixels)
    print(
        "| encoding | bytes | encode, CPU ms | decode, CPU ms | $ a million |\n" + "|---" * 5 + "|"
    )
    for way in measured:
        print(
            f"| {way.name} | {statistics.mean(way.sizes):,.0f} "
            f"| {statistics.median(way.encode_ms):.2f} "
            f"| {statistics.median(way.decode_ms):.2f} | {way.dollars():.2f} |"
        )


async def print_served(app: Application, images: list[bytes]) -> None:
    """CPU of the whole application, its model included, for batches of each encoding."""
    batch = (images * BATCH_IMAGES)[:BATCH_IMAGES]
    bodies = {
        name: (
            each.content_type(IMAGE_SPEC),
            each.pack([each.encode(pixels, IMAGE_SPEC) for pixels in batch], IMAGE_SPEC),
        )
        for name, each in PIXEL_ENCODINGS.items()
    }
    used: dict[str, list[float]] = {name: [] for name in bodies}
    for _ in range(ROUNDS):
        for name, (content_type, body) in bodies.items():
            before = time.process_time()
            await post(app, content_type, body)
            used[name].append(1000 * (time.process_time() - before) / BATCH_IMAGES)
    print(f"\nserved, batches of {BATCH_IMAGES}, CPU ms an image: ", end="")
    print(", ".join(f"{name} {statistics.median(each):.2f}" for name, each in used.items()))


async def post(app: Application, content_type: str, body: bytes) -> None:
    """One request to the application, which must answer 200."""
    waiting = [{"type": "http.request", "body": body}]
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await app(
        {"type": "http", "method": "POST", "path": "/invocations", "headers": headers},
        receive,
        send,
    )
    assert statuses == [200]


async def serve(folder: Path, images: list[bytes]) -> None:
    app = create_app(folder)
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    await inbox.put({"type": "lifespan.startup"})
    life = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await outbox.get()
    await print_served(app, images)
    await inbox.put({"type": "lifespan.shutdown"})
    await life


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    outcomes = [
        prepare(path.read_bytes(), IMAGE_SPEC) for path in photos(options.photos, options.count)
    ]
    images = [each.pixels for each in outcomes if isinstance(each, Prepared)]
    print(f"{len(images)} prepared photos of {IMAGE_SPEC.image_bytes:,} bytes\n")
    print_encodings(images)
    with tempfile.TemporaryDirectory() as folder:
        extract_archive(DEFAULT_ARCHIVE, Path(folder) / "archive")
        asyncio.run(serve(Path(folder) / "archive", images))


if __name__ == "__main__":
    main()
