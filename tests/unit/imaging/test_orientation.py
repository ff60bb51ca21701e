"""An image is turned as it says, wherever it says so."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageOps, PngImagePlugin, features

from imaging import Prepared, prepare
from imaging.formats.orientation import read_orientation
from tests.unit.imaging.pictures import (
    SPEC,
    encode,
    exif_block,
    expected_pixels,
    mean_difference,
    photo,
    pixels,
    png_chunk,
    with_jpeg_segments,
    with_png_chunks,
    xmp_packet,
)

# What undoes each orientation, so that the displayed picture is `photo()` again.
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(orientation: int) -> Image.Image:
    return photo() if orientation == 1 else photo().transpose(_UNDO[orientation])


def pillow_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format_name", "options"),
    [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})],
)
def test_exif_orientation_is_followed(
    format_name: str, options: dict[str, object], orientation: int
) -> None:
    data = encode(stored(orientation), format_name, exif=pillow_exif(orientation), **options)
    outcome = prepare(data, SPEC)
    assert isinstance(outcome, Prepared)
    assert (outcome.width, outcome.height) == (600, 400)
    assert mean_difference(outcome.pixels, expected_pixels()) < 2


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_s_own_turn_is_followed(orientation: int) -> None:
    data = encode(stored(orientation), "AVIF", quality=95, exif=pillow_exif(orientation))
    assert mean_difference(pixels(data), expected_pixels()) < 2.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_crop_of_an_odd_side_lies_where_the_displayed_image_has_it(orientation: int) -> None:
    # 256 x 383 after the resize: the crop's offset is rounded, and a turn mirrors the rounding.
    odd = photo(256, 383)
    turned = odd if orientation == 1 else odd.transpose(_UNDO[orientation])
    data = encode(turned, "PNG", exif=pillow_exif(orientation))
    assert pixels(data) == pixels(encode(odd, "PNG"))


def test_xmp_orientation_counts_where_exif_has_none() -> None:
    jpeg = encode(stored(6), "JPEG", quality=95)
    namespace = b"http://ns.adobe.com/xap/1.0/\0"
    by_xmp = with_jpeg_segments(jpeg, (0xE1, namespace + xmp_packet(6)))
    assert mean_difference(pixels(by_xmp), expected_pixels()) < 2


def test_exif_goes_before_xmp() -> None:
    assert read_orientation(exif_block(3), xmp_packet(6)) == 3


def test_png_text_chunks_can_hold_the_orientation() -> None:
    png = encode(stored(6), "PNG")
    exif = b"Exif\0\0" + exif_block(6)
    hexadecimal = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    as_text = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexadecimal))
    as_xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(6))
    for chunk in (as_text, as_xmp):
        assert pixels(with_png_chunks(png, chunk)) == expected_pixels()


def test_pillow_and_we_read_the_same_orientation() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_packet(8).decode(), zip=True)
    png = encode(stored(8), "PNG", pnginfo=text)
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(png))).tobytes() == photo().tobytes()
    assert pixels(png) == expected_pixels()


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"MM\0*\0\0\0\x08",
        b"MM\0*\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        exif_block(0),
        exif_block(9),
        exif_block(65_535),
        exif_block(6).replace(struct.pack(">HH", 0x0112, 3), struct.pack(">HH", 0x0112, 2)),
        exif_block(6)[:-8],
    ],
)
def test_damaged_exif_counts_as_absent(exif: bytes) -> None:
    assert read_orientation(exif, None) == 1
    jpeg = encode(photo(), "JPEG")
    assert pixels(with_jpeg_segments(jpeg, (0xE1, b"Exif\0\0" + exif))) == pixels(jpeg)


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_both_byte_orders_are_read(byte_order: str) -> None:
    exif = exif_block(7)
    if byte_order == "little":
        exif = b"II*\0" + struct.pack("<IHHHIHH", 8, 1, 0x0112, 3, 1, 7, 0) + b"\0\0\0\0"
    assert read_orientation(exif, None) == 7


TIFF = "http://ns.adobe.com/tiff/1.0/"
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
SPELLINGS = {
    "attribute": f'<rdf:Description {RDF} xmlns:tiff="{TIFF}" tiff:Orientation="6"/>',
    "single quotes": f"<rdf:Description {RDF} xmlns:tiff='{TIFF}' tiff:Orientation = '6'/>".replace(
        '"', "'"
    ),
    "element": f'<rdf:RDF {RDF} xmlns:tiff="{TIFF}"><tiff:Orientation>\n6 </tiff:Orientation>'
    "</rdf:RDF>",
    "another prefix": f'<rdf:Description {RDF} xmlns:t="{TIFF}" t:Orientation="6"/>',
    "default namespace": f'<Orientation xmlns="{TIFF}">6</Orientation>',
    "value inside": f'<rdf:RDF {RDF} xmlns:tiff="{TIFF}"><tiff:Orientation><rdf:value>6</rdf:value>'
    "</tiff:Orientation></rdf:RDF>",
    "character reference": f'<rdf:Description {RDF} xmlns:tiff="{TIFF}" tiff:Orientation="&#54;"/>',
    "prefix of another namespace": f'<rdf:Description {RDF} xmlns:t="{TIFF}" t:Orientation="6"'
    ' xmlns:tiff="http://example.com/" tiff:Orientation="3"/>',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_xmp_is_read_in_every_legal_spelling(spelling: str) -> None:
    assert read_orientation(None, SPELLINGS[spelling].encode()) == 6


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_xmp_is_read_in_every_encoding(encoding: str) -> None:
    packet = f"<?xpacket begin='' id='W5M0'?>{SPELLINGS['attribute']}<?xpacket end='w'?>"
    assert read_orientation(None, packet.encode(encoding)) == 6


@pytest.mark.parametrize(
    "packet",
    [
        '<a Orientation="6"/>',
        f'<a xmlns:tiff="{TIFF}" tiff:Orientation="66"/>',
        f'<a xmlns:tiff="{TIFF}" tiff:Orientation=""/>',
        '<!DOCTYPE a [<!ENTITY o "6">]><a tiff:Orientation="&o;"/>',
        "tiff:Orientation",
        "<tiff:Orientation>6",
    ],
)
def test_xmp_that_does_not_say_it_counts_as_absent(packet: str) -> None:
    assert read_orientation(None, packet.encode()) == 1


def test_extended_xmp_can_hold_the_orientation() -> None:
    jpeg = encode(stored(6), "JPEG", quality=95)
    header = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8)
    packet = SPELLINGS["element"].encode()
    by_parts = with_jpeg_segments(
        jpeg, *[(0xE1, header + packet[:50]), (0xE1, header + packet[50:])]
    )
    assert mean_difference(pixels(by_parts), expected_pixels()) < 2


def test_exif_behind_other_segments_is_followed() -> None:
    jpeg = encode(stored(6), "JPEG", quality=95)
    others = [(0xEC, b"Ducky"), (0xED, b"Photoshop 3.0\0"), (0xE2, b"MPF\0")]
    turned = with_jpeg_segments(jpeg, *others, (0xE1, b"Exif\0\0" + exif_block(6)))
    assert mean_difference(pixels(turned), expected_pixels()) < 2


@pytest.mark.parametrize("keyword", [b"xmp", b"APP1", b"exif"])
def test_imagemagick_s_raw_profiles_of_a_png_are_read(keyword: bytes) -> None:
    body = {
        b"xmp": SPELLINGS["attribute"].encode(),
        b"APP1": b"http://ns.adobe.com/xap/1.0/\0" + SPELLINGS["element"].encode(),
        b"exif": exif_block(6),
    }[keyword]
    hexadecimal = f"\n{keyword.decode()}\n{len(body):8}\n{body.hex()}\n".encode()
    chunk = png_chunk(b"tEXt", b"Raw profile type " + keyword + b"\0" + hexadecimal)
    assert pixels(with_png_chunks(encode(stored(6), "PNG"), chunk)) == expected_pixels()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_webp_s_xmp_is_followed(orientation: int) -> None:
    xmp = SPELLINGS["element"].replace("6", str(orientation)).encode()
    data = encode(stored(orientation), "WEBP", lossless=True, xmp=xmp)
    assert mean_difference(pixels(data), expected_pixels()) < 2


@pytest.mark.parametrize(("kind", "length"), [("B", 1), ("H", 3), ("I", 4)])
def test_orientation_of_another_whole_number_type_is_read(kind: str, length: int) -> None:
    value = struct.pack("<" + kind, 6).ljust(4, b"\0")
    exif = b"II*\0" + struct.pack("<IHHHI", 8, 1, 0x0112, length, 1) + value + b"\0\0\0\0"
    assert read_orientation(exif, None) == 6
