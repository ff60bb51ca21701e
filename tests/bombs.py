"""Hostile files, all generated here; none comes from outside.

Each has a name that says what it is; the same names and bytes every time.
"""

from __future__ import annotations

import io
import itertools
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache

from PIL import Image, ImageDraw, features

from tests.heic_bombs import heic_bombs
from tests.heic_files import file_bytes

MEGABYTE = 1024 * 1024


@cache
def bombs() -> tuple[tuple[str, bytes], ...]:
    """More than 200 of them."""
    makers = (
        *(_empty_and_short, _pixel_bombs, _png_bombs, _jpeg_bombs, _metadata_bombs, _polyglots),
        *(_animations, _truncated, _bit_flips, _lying_headers, _avif_bombs, _odd_encodings),
        heic_bombs,
    )
    return tuple(bomb for make in makers for bomb in make())


def picture(side: int = 96, mode: str = "RGB") -> Image.Image:
    """Something with edges and colours."""
    image = Image.new("RGB", (side, side), (200, 180, 160))
    draw = ImageDraw.Draw(image)
    for place in range(0, side, 7):
        colour = (place * 5 % 256, place * 3 % 256, 99)
        draw.ellipse((place, side - place, place + 20, side - place + 20), colour)
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)  # type: ignore[arg-type]
    return buffer.getvalue()


@cache
def healthy() -> dict[str, bytes]:
    """One good file of each format."""
    return {
        "jpeg": saved(picture(), "JPEG", quality=90),
        "progressive": saved(picture(), "JPEG", quality=90, progressive=True),
        "png": saved(picture(), "PNG"),
        "webp": saved(picture(), "WEBP", quality=80),
        "lossless": saved(picture(), "WEBP", lossless=True),
        "bmp": saved(picture(), "BMP"),
        "heic": file_bytes("tile_0"),
        "gif": saved(picture(), "GIF"),
    }


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """Signature, IHDR, what is given, IEND."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def riff(content: bytes) -> bytes:
    """A WebP file around its content."""
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


def zeros(length: int) -> bytes:
    """Compressed zeros, a thousandth of their length: zlib.compress would look at each of them."""
    block = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    one = block.compress(bytes(MEGABYTE)) + block.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    last = rest.compress(bytes(length % MEGABYTE)) + rest.flush()
    # Adler-32 of zeros: the first sum stays 1, the second counts them.
    checksum = struct.pack(">HH", length % 65_521, 1)
    return b"\x78\xda" + one * (length // MEGABYTE) + last + checksum


def _empty_and_short() -> Iterator[tuple[str, bytes]]:
    magic = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM", b"GIF89a", b"II*\0")
    for index, start in enumerate((b"", b"\0", b"\n" * 3, *magic)):
        yield f"short {index}", start
        yield f"short {index} and zeros", start + bytes(4096)
    yield "four megabytes of noise", random.Random(1).randbytes(4 * MEGABYTE)  # noqa: S311
    yield "html", b"<!doctype html><img src=x onerror=alert(1)>" * 50
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"


def _pixel_bombs() -> Iterator[tuple[str, bytes]]:
    sides = (1, 40_000, 65_535, 2**31 - 1)
    for width, height in itertools.product(sides, sides):
        if (width, height) == (1, 1):
            continue
        data = chunk(b"IDAT", zeros(MEGABYTE))
        yield f"png of {width} x {height}", png(width, height, data)
        header = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        yield f"bmp of {width} x {height}", header + info + bytes(100)
    for depth, colour in ((16, 6), (1, 0), (8, 3), (16, 2)):
        data = chunk(b"IDAT", zeros(4 * MEGABYTE))
        yield (
            f"png of 30000 x 30000, {depth} bits, colour type {colour}",
            png(30_000, 30_000, data, depth=depth, colour=colour),
        )
    lossless = b"VP8L" + struct.pack("<I", 10) + b"\x2f\xff\xff\xff\x0f" + bytes(5)
    yield (
        "webp of 16384 x 16384",
        b"RIFF" + struct.pack("<I", len(lossless) + 4) + b"WEBP" + lossless,
    )
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\xff\xff" * 2
    yield "webp of 2^24 x 2^24", riff(extended)
    for width, height in ((65_500, 65_500), (65_535, 1), (1, 65_535), (20_000, 20_000)):
        data = bytearray(healthy()["jpeg"])
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
        yield f"jpeg that says {width} x {height}", bytes(data)


def _png_bombs() -> Iterator[tuple[str, bytes]]:
    yield "png whose pixels are 400 MB", png(11_000, 11_000, chunk(b"IDAT", zeros(400 * MEGABYTE)))
    yield "png with 60 MB behind 1 pixel", png(1, 1, chunk(b"IDAT", zeros(60 * MEGABYTE)))
    small = chunk(b"IDAT", zlib.compress(bytes(3 * 8 * 8 + 8)))
    yield "png of 25000 empty chunks", png(8, 8, *([chunk(b"IDAT", b"")] * 25_000), small)
    yield "png of 25000 texts", png(8, 8, *([chunk(b"tEXt", b"a\0b")] * 25_000), small)
    packed = zeros(80 * MEGABYTE)
    yield "png with a text of 80 MB", png(8, 8, chunk(b"zTXt", b"a\0\0" + packed), small)
    yield "png with an itxt of 80 MB", png(8, 8, chunk(b"iTXt", b"a\0\1\0\0\0" + packed), small)
    yield "png with a profile of 80 MB", png(8, 8, chunk(b"iCCP", b"a\0\0" + packed), small)
    yield "png without pixels", png(8, 8)
    yield "png with a palette of nothing", png(8, 8, chunk(b"PLTE", b""), small, colour=3)
    yield "png whose chunk is 2 GB", png(8, 8)[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(1000)
    yield "png with a checksum that is wrong", png(8, 8, small[:-1] + b"\0")
    interlaced = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 1)
    yield (
        "png interlaced, 9000 x 9000",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", interlaced)
        + chunk(b"IDAT", zeros(250 * MEGABYTE)) + chunk(b"IEND", b""),
    )  # fmt: skip


def _jpeg_bombs() -> Iterator[tuple[str, bytes]]:
    progressive = saved(Image.new("L", (4000, 4000)), "JPEG", quality=10, progressive=True)
    start = progressive.rindex(b"\xff\xda")
    for scans in (50, 1000, 20_000):
        yield (
            f"jpeg of {scans} scans",
            progressive[:-2] + progressive[start:-2] * scans + b"\xff\xd9",
        )
    second = progressive.index(b"\xff\xc4", progressive.index(b"\xff\xda"))
    for name, between in (
        ("tables", b"\xff\xc4\0\2"),
        ("restart markers", b"\xff\xd0"),
        ("comments", b"\xff\xfe\0\2"),
        ("stray bytes", b"\xff\0"),
    ):
        yield (
            f"jpeg with 8 MB of {name} between its scans",
            progressive[:second] + between * (8 * MEGABYTE // len(between)) + progressive[second:],
        )
    yield (
        "jpeg with 8 MB of restart markers at its end",
        progressive[:-2] + b"\xff\xd0" * (4 * MEGABYTE) + progressive[-2:],
    )
    yield "jpeg without its end, 30 MB of zeros", progressive[:-2] + bytes(30 * MEGABYTE)
    jpeg = healthy()["jpeg"]
    for number, marker in enumerate(range(0xE0, 0xF0)):
        segment = bytes((0xFF, marker)) + struct.pack(">H", 65_535) + bytes(65_533)
        if number % 4 == 0:
            yield f"jpeg with 300 segments {marker:02x}", jpeg[:2] + segment * 300 + jpeg[2:]
    tiny = b"\xff\xfe\0\2"
    yield "jpeg with 100000 comments", jpeg[:2] + tiny * 100_000 + jpeg[2:]
    yield "jpeg with a thousand thumbnails", jpeg[:-2] * 1000
    for marker in (b"\xff\xc0", b"\xff\xc4", b"\xff\xdb", b"\xff\xda"):
        place = jpeg.index(marker)
        yield f"jpeg without {marker.hex()}", jpeg[:place] + jpeg[place + 2 :]
        yield f"jpeg with a short {marker.hex()}", jpeg[: place + 3] + b"\2" + jpeg[place + 4 :]
        yield f"jpeg with {marker.hex()} twice", jpeg[:place] + jpeg[place:-2] + jpeg[place:]


def _metadata_bombs() -> Iterator[tuple[str, bytes]]:
    jpeg = healthy()["jpeg"]
    loops = {
        "that is its own next": struct.pack("<HHHIII", 1, 0x0112, 3, 1, 6, 8),
        "of 65535 entries": struct.pack("<H", 65_535) + bytes(3000),
        "whose value is far away": struct.pack("<HHHIII", 1, 0x0112, 3, 2**31, 2**31 - 1, 0),
        "whose orientation is 2^16-1": struct.pack("<HHHIII", 1, 0x0112, 3, 1, 65_535, 0),
        "whose orientation is a text": struct.pack("<HHHIII", 1, 0x0112, 2, 60_000, 8, 0),
        "that points at itself": struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8),
    }
    for name, directory in loops.items():
        for order, header in (("II", b"II*\0\x08\0\0\0"), ("MM", b"MM\0*\0\0\0\x08")):
            exif = b"Exif\0\0" + header + directory
            segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
            yield f"exif {order} {name}", jpeg[:2] + segment + jpeg[2:]
    profile = b"ICC_PROFILE\0\1\1" + struct.pack(">I", 2**32 - 1) + bytes(200)
    segment = b"\xff\xe2" + struct.pack(">H", len(profile) + 2) + profile
    yield "jpeg with a lying profile", jpeg[:2] + segment + jpeg[2:]


def _polyglots() -> Iterator[tuple[str, bytes]]:
    files = healthy()
    tails = {"zip": b"PK\3\4" + bytes(200), "html": b"<script>alert(1)</script>", "elf": b"\x7fELF"}
    for (kind, data), (name, tail) in itertools.product(files.items(), tails.items()):
        yield f"{kind} and {name}", data + tail * 20
    yield "pdf and jpeg", b"%PDF-1.7\n" + files["jpeg"]
    yield "gif and html", b"GIF89a/*" + bytes(6) + b"*/=1;alert(1)"


def _animations() -> Iterator[tuple[str, bytes]]:
    frames = [picture(64).rotate(angle) for angle in range(0, 360, 4)]
    yield "gif of 90 frames", saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "webp of 90 frames", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "png of 90 frames", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "png of 5000 frames", png(8, 8, *_frames(5000))
    yield "mpo of 5 frames", saved(frames[0], "MPO", save_all=True, append_images=frames[1:5])
    yield "tiff", saved(frames[0], "TIFF")


def _truncated() -> Iterator[tuple[str, bytes]]:
    for kind, data in healthy().items():
        for share in (0.05, 0.3, 0.6, 0.99):
            yield f"{kind}, {share:.0%} of it", data[: int(share * len(data))]


def _bit_flips() -> Iterator[tuple[str, bytes]]:
    for kind, data in healthy().items():
        for seed in range(12):
            choose = random.Random(f"{kind} {seed}")  # noqa: S311 - repeatable, not secret
            broken = bytearray(data)
            for _ in range(1 + seed * 3):
                broken[choose.randrange(len(broken))] ^= 1 << choose.randrange(8)
            yield f"{kind}, {1 + seed * 3} bits flipped ({seed})", bytes(broken)


def _lying_headers() -> Iterator[tuple[str, bytes]]:
    files = healthy()
    for one, other in itertools.permutations(("jpeg", "png", "webp", "bmp"), 2):
        yield f"{other} that begins as {one}", files[one][:16] + files[other][16:]
    for mode in ("1", "L", "P", "I;16", "CMYK", "RGBA", "LA"):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        image = (
            picture(mode="L").convert("I").convert("I;16") if mode == "I;16" else picture(mode=mode)
        )
        yield f"{kind} in mode {mode}", saved(image, kind)


def _frames(count: int) -> Iterator[bytes]:
    """The chunks of an animated PNG of 8 x 8 pixels."""
    pixels = zlib.compress(bytes(8 * 25))
    yield chunk(b"acTL", struct.pack(">II", count, 0))
    for number in range(count):
        shape = struct.pack(">IIIIIHHBB", 2 * number, 8, 8, 0, 0, 1, 60_000, 0, 0)
        yield chunk(b"fcTL", shape)
        place = struct.pack(">I", 2 * number + 1)
        yield chunk(b"fdAT", place + pixels) if number else chunk(b"IDAT", pixels)


def box(kind: bytes, content: bytes) -> bytes:
    """A box of ISO 14496-12."""
    return struct.pack(">I", len(content) + 8) + kind + content


def _avif_bombs() -> Iterator[tuple[str, bytes]]:
    start = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    yield "avif without anything", start
    yield "avif of 30000 free boxes", start + box(b"free", b"") * 30_000
    yield "avif whose box has no end", start + struct.pack(">I4sQ", 1, b"meta", 2**63)
    yield "avif whose box is shorter than its header", start + struct.pack(">I4s", 2, b"meta")
    nested = b""
    for _ in range(2000):
        nested = box(b"meta", bytes(4) + nested)
    yield "avif of 2000 nested boxes", start + nested
    for items, extents in ((65_535, 0), (1, 65_535), (255, 255)):
        one = struct.pack(">HHH", 1, 0, extents) + struct.pack(">II", 0, 0) * extents
        locations = struct.pack(">IHH", 0, 0x4400, items) + one * items
        meta = box(b"meta", bytes(4) + box(b"iloc", locations))
        yield f"avif of {items} items in {extents} parts", start + meta
    if not features.check("avif"):
        return
    avif = saved(picture(), "AVIF", speed=10)
    stated = avif.index(b"ispe") + 8
    for width, height in ((0, 0), (1, 1), (60_000, 60_000), (2**32 - 1, 2**32 - 1)):
        data = avif[:stated] + struct.pack(">II", width, height) + avif[stated + 8 :]
        yield f"avif that says {width} x {height}", data
    for share in (0.05, 0.3, 0.6, 0.99):
        yield f"avif, {share:.0%} of it", avif[: int(share * len(avif))]
    for seed in range(12):
        choose = random.Random(f"avif {seed}")  # noqa: S311 - repeatable, not secret
        broken = bytearray(avif)
        for _ in range(1 + seed * 3):
            broken[choose.randrange(len(broken))] ^= 1 << choose.randrange(8)
        yield f"avif, {1 + seed * 3} bits flipped ({seed})", bytes(broken)


def _odd_encodings() -> Iterator[tuple[str, bytes]]:
    """Rare, and right or nearly."""
    cmyk = saved(picture(mode="CMYK"), "JPEG")
    place = cmyk.index(b"Adobe") + 11  # the colour transform, APP14's last byte
    for transform in (0, 1, 2, 3, 255):
        yield f"jpeg in CMYK, transform {transform}", _with_byte(cmyk, place, transform)
    jpeg = healthy()["jpeg"]
    sampling = jpeg.index(b"\xff\xc0") + 11
    for factors in (0x00, 0x41, 0x44, 0xFF):
        yield f"jpeg with sampling {factors:02x}", _with_byte(jpeg, sampling, factors)
    for depth, colour in itertools.product((1, 2, 4, 8, 16), (0, 2, 3, 4, 6)):
        rows = zlib.compress(bytes(64 * (1 + 64 * 8)))
        header = struct.pack(">IIBBBBB", 64, 64, depth, colour, 0, 0, 1)
        palette = chunk(b"PLTE", bytes(3 * min(256, 2**depth)))
        yield (
            f"png interlaced, {depth} bits, colour type {colour}",
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette
            + chunk(b"IDAT", rows) + chunk(b"IEND", b""),
        )  # fmt: skip


def _with_byte(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes((value,)) + data[place + 1 :]
