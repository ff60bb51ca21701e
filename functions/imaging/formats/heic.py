"""HEIC: HEIF (ISO 23008-12) with pictures in HEVC, as phones write them.

The main picture is a coded picture or a grid of them. Each is checked, decoded alone and put in its
place, at reduced size if enough pixels are left, so a photo of 48 megapixels takes little memory.
This module applies the file's turns and its crop; EXIF may not turn a HEIC image (its `irot` and
`imir` do), and is not read.
"""

from dataclasses import dataclass
from functools import partial

from PIL import Image

from imaging.formats.heif_items import Container, Item, Property, read_container
from imaging.formats.heif_transforms import Crop, read_transforms
from imaging.formats.hevc import Configuration, Sequence, read_configuration, read_slices
from imaging.formats.isobmff import Cursor
from imaging.formats.libde265 import decoded, is_available
from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow
from imaging.formats.ycbcr import Part, luma_to_image, to_image
from imaging.geometry import frame
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable
from imaging.spec import ImageSpec

# Memory of an image at its full size, with or without transparency: measured up to 14.2.
_BYTES_PER_PIXEL = 14
# Memory of decoding besides the planes, and of converting more than 8 bits. Measured
# on 12 megapixels, planes included: 3.4 (4:2:0), 4.8 (4:4:4), 9.8 and 13.4 with 10 bits.
_BYTES_PER_CODED_PIXEL, _BYTES_PER_DEEP_PIXEL = 2, 6
# 48 megapixels, the most that phones write, and the edges of their tiles. They take 1.3 s.
_MOST_CODED_PIXELS = 52_000_000
# 200 megapixels in tiles of 512 x 512 pixels are 768.
_MOST_TILES = 1024
# Per picture; HEVC's highest level has 600.
_MOST_SLICES = 600
_REDUCTIONS = (8, 4, 2)
_SCALE_MARGIN = 2
_ALPHA = (b"urn:mpeg:hevc:2015:auxid:1\0", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
_FOLLOWED = {b"hvcC", b"ispe", b"colr", b"pixi", b"pasp", b"irot", b"imir", b"clap", b"auxC"}
_EXPORT = "export the photo as JPEG"


@dataclass(frozen=True, slots=True)
class _Tile:
    """A coded picture and the part of the image that it covers."""

    configuration: Configuration
    slices: list[bytes]
    colour: tuple[int, bool] | None
    """Matrix and full range of `colr`; None to go by the picture itself."""
    corner: tuple[int, int]
    """Left and top."""


@dataclass(frozen=True, slots=True)
class _Mosaic:
    """An image as it is coded: its size and its tiles, row by row."""

    size: tuple[int, int]
    tiles: list[_Tile]
    tile_size: tuple[int, int]


def open_heic(data: bytes, spec: ImageSpec, limits: Limits) -> OpenedImage:
    """Opens the main picture of a HEIF file for a decoding at reduced size; raises Unusable."""
    if not is_available():
        detail = f"HEIC is not read without the package pi-heif; {_EXPORT}"
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail)
    container = read_container(data, limits.max_chunks)
    mosaic = _read_mosaic(container, container.primary, limits)
    alpha = _find_alpha(container, limits)
    crop, orientation = read_transforms(container.primary.properties, mosaic.size)
    size = crop.size
    reduction = 1 if alpha else _reduction(mosaic, crop, frame(size, orientation, spec).resized)
    _check_cost(mosaic, alpha, reduction, limits)
    extent = (size[0] / reduction, size[1] / reduction)
    decode = partial(_decode, mosaic, alpha, crop, reduction)
    return OpenedImage("HEIF", decode, size, orientation, extent)


def _read_mosaic(container: Container, item: Item, limits: Limits) -> _Mosaic:
    unknown = {each.name for each in item.properties if each.is_essential} - _FOLLOWED
    if unknown:
        detail = f"a HEIF picture with {_names(unknown)}; {_EXPORT}"
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail)
    match item.kind:
        case b"hvc1":
            size = _stated_size(item)
            limits.check_size(size)
            return _Mosaic(size, _read_tiles([item], [(0, 0)], size, None), size)
        case b"grid":
            return _read_grid(container, item, limits)
        case _:
            detail = f"a HEIF picture of kind {_names({item.kind})}, not HEVC; {_EXPORT}"
            raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail)


def _read_grid(container: Container, item: Item, limits: Limits) -> _Mosaic:
    """Reads a grid (6.6.2.3) and its tiles, which all have the same size."""
    cursor = Cursor(memoryview(item.data()))
    _version, flags = cursor.uint(1), cursor.uint(1)
    rows, columns = cursor.uint(1) + 1, cursor.uint(1) + 1
    side_bytes = 4 if flags & 1 else 2
    size = width, height = cursor.uint(side_bytes), cursor.uint(side_bytes)
    limits.check_size(size)
    numbers = item.references.get(b"dimg", [])
    if rows * columns > _MOST_TILES:
        detail = f"{rows * columns:,} tiles, at most {_MOST_TILES:,} are allowed"
        raise Unusable(RejectReason.TOO_MANY_CHUNKS, detail, size)
    if len(numbers) != rows * columns:
        raise Unusable(RejectReason.CORRUPT, "a grid without all of its tiles", size)
    # Only so the tiles together are no longer than the file.
    if len(set(numbers)) != len(numbers):
        detail = f"a HEIF picture that shows a tile twice; {_EXPORT}"
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail, size)
    across, down = tile_size = _stated_size(container.item(numbers[0]))
    covers = 0 <= across * columns - width < across and 0 <= down * rows - height < down
    if not covers:
        raise Unusable(RejectReason.CORRUPT, "a grid that its tiles do not cover", size)
    items = [container.item(number) for number in numbers]
    others = {each.kind for each in items} - {b"hvc1"}
    if others:
        detail = f"a HEIF picture in parts of kind {_names(others)}; {_EXPORT}"
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail, size)
    corners = [(column * across, row * down) for row in range(rows) for column in range(columns)]
    return _Mosaic(size, _read_tiles(items, corners, tile_size, _colour(item)), tile_size)


def _read_tiles(
    items: list[Item],
    corners: list[tuple[int, int]],
    size: tuple[int, int],
    colour: tuple[int, bool] | None,
) -> list[_Tile]:
    """Reads coded pictures of one size; `colour` is that of the whole, if it is stated."""
    # Many tiles share one property: it is read once.
    read: dict[int, Configuration] = {}
    tiles = []
    for item, corner in zip(items, corners, strict=True):
        body = item.find(b"hvcC")
        if id(body) not in read:
            read[id(body)] = read_configuration(body)
        tiles.append(_read_tile(item, read[id(body)], corner, size, colour or _colour(item)))
    return tiles


def _read_tile(
    item: Item,
    configuration: Configuration,
    corner: tuple[int, int],
    size: tuple[int, int],
    colour: tuple[int, bool] | None,
) -> _Tile:
    if not configuration.sequence.size == size == _stated_size(item):
        width, height = configuration.sequence.size
        detail = f"{width} x {height} pixels are coded where the file says {size[0]} x {size[1]}"
        raise Unusable(RejectReason.CORRUPT, detail, size)
    slices = read_slices(item.data(), configuration, _MOST_SLICES)
    return _Tile(configuration, slices, colour, corner)


def _stated_size(item: Item) -> tuple[int, int]:
    cursor = Cursor(item.find(b"ispe"))
    cursor.take(4)
    return cursor.uint(4), cursor.uint(4)


def _colour(item: Item) -> tuple[int, bool] | None:
    """Reads how YCbCr is meant (`nclx`); colour profiles are ignored as in every format."""
    for each in item.properties:
        value = Cursor(each.body)
        if each.name == b"colr" and bytes(value.take(4)) == b"nclx":
            _primaries, _transfer, matrix = value.uint(2), value.uint(2), value.uint(2)
            return matrix, value.uint(1) >= 0x80
    return None


def _find_alpha(container: Container, limits: Limits) -> _Mosaic | None:
    for item in container.items.values():
        is_about_it = container.primary_number in item.references.get(b"auxl", [])
        if is_about_it and any(_is_alpha(each) for each in item.properties):
            return _read_mosaic(container, item, limits)
    return None


def _is_alpha(each: Property) -> bool:
    kind = bytes(each.body[4 : 4 + max(map(len, _ALPHA))])
    return each.name == b"auxC" and kind.startswith(_ALPHA)


def _reduction(mosaic: _Mosaic, crop: Crop, resized: tuple[int, int]) -> int:
    """Returns how many pixels become one on each side, so that enough is left."""
    if crop.box[:2] != (0, 0):
        return 1
    for reduction in _REDUCTIONS:
        leaves_enough = all(
            side >= _SCALE_MARGIN * reduction * target
            for side, target in zip(crop.size, resized, strict=True)
        )
        tiles_fit = not any(side % reduction for side in mosaic.tile_size)
        if leaves_enough and (tiles_fit or len(mosaic.tiles) == 1):
            return reduction
    return 1


def _check_cost(mosaic: _Mosaic, alpha: _Mosaic | None, reduction: int, limits: Limits) -> None:
    tiles = mosaic.tiles + (alpha.tiles if alpha else [])
    coded = [each.configuration.sequence for each in tiles]
    pixels = sum(width * height for width, height in (each.coded_size for each in coded))
    if pixels > _MOST_CODED_PIXELS:
        detail = f"{pixels:,} HEVC pixels, at most {_MOST_CODED_PIXELS:,} are allowed"
        raise Unusable(RejectReason.TOO_MANY_PIXELS, detail, mosaic.size)
    width, height = mosaic.size
    whole_bytes = _BYTES_PER_PIXEL * width * height / reduction**2
    limits.check_memory(whole_bytes + max(map(_decoding_bytes, coded)), mosaic.size)


def _decoding_bytes(sequence: Sequence) -> float:
    width, height = sequence.coded_size
    planes = sum(
        across * down * sample_bytes for (across, down), sample_bytes in sequence.plane_shapes
    )
    is_deep = max(sequence.depths) > 8
    per_pixel = _BYTES_PER_CODED_PIXEL + _BYTES_PER_DEEP_PIXEL * is_deep
    return planes + per_pixel * width * height


def _decode(mosaic: _Mosaic, alpha: _Mosaic | None, crop: Crop, reduction: int) -> Image.Image:
    image = _assemble(mosaic, "RGB", reduction)
    with damage_found_by_pillow(mosaic.size):
        if alpha:
            mask = _assemble(alpha, "L", 1)
            image.putalpha(mask if mask.size == image.size else mask.resize(image.size))
        if reduction == 1 and crop.size != image.size:
            image = image.crop(crop.box)
    return image


def _assemble(mosaic: _Mosaic, mode: str, reduction: int) -> Image.Image:
    width, height = mosaic.size
    whole = Image.new(mode, (-(-width // reduction), -(-height // reduction)))
    for tile in mosaic.tiles:
        left, top = tile.corner
        image = _decode_tile(tile, (width - left, height - top), reduction, is_grey=mode == "L")
        with damage_found_by_pillow(mosaic.size):
            whole.paste(image, (left // reduction, top // reduction))
    return whole


def _decode_tile(
    tile: _Tile, room: tuple[int, int], reduction: int, *, is_grey: bool
) -> Image.Image:
    """Decodes a tile, as far as there is room for it in the image."""
    sequence = tile.configuration.sequence
    (width, height), (across, down) = sequence.size, room
    part = Part((min(width, across), min(height, down)), reduction)
    units = [*tile.configuration.units, *tile.slices]
    with decoded(units, len(sequence.plane_shapes)) as picture:
        if picture.planes[0].size != sequence.size:
            raise Unusable(RejectReason.CORRUPT, "a picture of another size than its header says")
        with damage_found_by_pillow(sequence.size):
            if is_grey:
                return luma_to_image(picture.planes, part)
            matrix, is_full_range = tile.colour or (picture.matrix, picture.is_full_range)
            return to_image(picture.planes, matrix, part, is_full_range=is_full_range)


def _names(kinds: set[bytes]) -> str:
    return " ".join(sorted(repr(kind)[2:-1] for kind in kinds))
