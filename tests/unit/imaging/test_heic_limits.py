"""A HEIC file cannot ask for more than its limits, whatever its boxes say."""

from __future__ import annotations

import dataclasses
import importlib.util
import time

import pytest

from imaging import DEFAULT_LIMITS, Limits, Prepared, Rejection, RejectReason, prepare
from imaging.formats import heic as heic_module
from imaging.formats.hevc import Configuration, read_configuration
from tests.heic_bombs import heic_bombs, iloc_of_nothing, more_parameters
from tests.heic_files import Entry, alpha, coded, file_bytes, full_box, grid, heic, picture
from tests.unit.imaging.pictures import SPEC, reject_reason, rejection

TILE = picture(coded("tile_0"))


def verdict(data: bytes, limits: Limits = DEFAULT_LIMITS) -> RejectReason | None:
    outcome = prepare(data, SPEC, limits)
    return outcome.reason if isinstance(outcome, Rejection) else None


@pytest.mark.parametrize("size", [(63, 64), (128, 128), (12_000, 12_000)])
def test_a_size_that_is_not_the_coded_one_is_refused(size: tuple[int, int]) -> None:
    assert reject_reason(heic(picture(coded("tile_0"), size=size))) is RejectReason.CORRUPT
    as_tile = heic(grid(1, 1, size, [2]), picture(coded("tile_0"), size=size))
    assert reject_reason(as_tile) is RejectReason.CORRUPT


def test_a_stated_size_beyond_the_limits_is_named() -> None:
    outcome = rejection(heic(picture(coded("tile_0"), size=(60_000, 2))))
    assert outcome.reason is RejectReason.SIDE_TOO_LONG
    assert (outcome.width, outcome.height) == (60_000, 2)


def test_the_size_is_read_from_the_parameter_sets() -> None:
    sequence = read_configuration(memoryview(coded("photo_odd").configuration)).sequence
    assert sequence.size == (120, 80)
    assert read_configuration(memoryview(coded("photo_10_bits").configuration)).sequence.depths == (
        10,
        10,
    )


def test_tiles_are_limited() -> None:
    tiles = grid(33, 32, (64 * 32, 64 * 33), [2] * (33 * 32))
    assert reject_reason(heic(tiles, TILE)) is RejectReason.TOO_MANY_CHUNKS


def tiles_in_a_row(count: int, *more: Entry) -> bytes:
    layout = grid(1, count, (64 * count, 64), list(range(2, 2 + count)))
    return heic(layout, *[TILE] * count, *more)


def test_all_tiles_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic_module, "_MOST_CODED_PIXELS", 64 * 64 * 4)
    assert verdict(tiles_in_a_row(4)) is None
    assert verdict(tiles_in_a_row(5)) is RejectReason.TOO_MANY_PIXELS
    assert verdict(tiles_in_a_row(4, alpha(coded("tile_1")))) is RejectReason.TOO_MANY_PIXELS


def test_a_tile_stands_in_one_place() -> None:
    outcome = rejection(heic(grid(1, 3, (192, 64), [2, 3, 2]), TILE, TILE))
    assert outcome.reason is RejectReason.UNSUPPORTED_FORMAT
    assert "twice" in outcome.detail
    assert "JPEG" in outcome.detail


def test_parameters_that_tiles_share_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def reading(body: memoryview) -> Configuration:
        read.append(body)
        return read_configuration(body)

    monkeypatch.setattr(heic_module, "read_configuration", reading)
    assert verdict(tiles_in_a_row(8)) is None
    assert len(read) == 1


@pytest.mark.parametrize(
    ("count", "length", "reason"),
    [
        (7, 10_000, RejectReason.CORRUPT),
        (126, 0, RejectReason.TOO_MANY_CHUNKS),
        (1000, 0, RejectReason.TOO_MANY_CHUNKS),
    ],
)
def test_parameters_are_limited(count: int, length: int, reason: RejectReason) -> None:
    tile = coded("tile_0")
    heavy = dataclasses.replace(tile, configuration=more_parameters(tile, count, length))
    assert verdict(heic(picture(heavy))) is reason


def test_as_many_parameters_as_hevc_numbers_are_read() -> None:
    body = more_parameters(coded("tile_0"), 63, 900)
    assert len(read_configuration(memoryview(body)).units) == 66


def test_items_without_data_are_limited() -> None:
    outcome = verdict(heic(TILE, more=iloc_of_nothing(DEFAULT_LIMITS.max_chunks + 1)))
    assert outcome is RejectReason.TOO_MANY_CHUNKS


def test_the_kind_of_an_auxiliary_picture_may_be_followed_by_more() -> None:
    kind = full_box(b"auxC", 0, b"urn:mpeg:hevc:2015:auxid:1\0" + bytes(100))
    entry = dataclasses.replace(alpha(coded("mask")), kind=b"av01")
    entry.properties[-1] = kind
    assert verdict(heic(TILE, entry)) is RejectReason.UNSUPPORTED_FORMAT


def test_memory_is_computed_before_anything_is_decoded() -> None:
    limits = Limits(max_decoded_bytes=100_000)
    assert verdict(heic(picture(coded("photo"))), limits) is RejectReason.TOO_MANY_PIXELS
    assert verdict(heic(picture(coded("photo_10_bits")))) is None


def test_a_large_grid_takes_the_memory_of_its_reduced_size() -> None:
    """30 x 30 tiles are 3.7 megapixels: 52 MB whole, and a sixteenth at a quarter of the sides."""
    whole = heic(grid(30, 30, (1920, 1920), list(range(2, 902))), *[TILE] * 900)
    spec = dataclasses.replace(SPEC, size=200, resize=200)
    assert isinstance(prepare(whole, spec, Limits(max_decoded_bytes=4_000_000)), Prepared)


@pytest.mark.parametrize("more", [2, 700])
def test_one_picture_is_decoded_where_one_is_expected(more: int) -> None:
    tile = coded("tile_0")
    repeated = dataclasses.replace(tile, data=tile.data * more)
    assert reject_reason(heic(picture(repeated))) is RejectReason.CORRUPT


@pytest.mark.parametrize(("name", "data"), list(heic_bombs()), ids=lambda each: str(each)[:60])
def test_a_bomb_is_over_quickly(name: str, data: bytes) -> None:
    began = time.process_time()
    prepare(data, SPEC)
    assert time.process_time() - began < 2, name


def test_without_the_decoder_a_file_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "_pi_heif" else find(name, package),
    )
    outcome = rejection(file_bytes("photo"))
    assert outcome.reason is RejectReason.UNSUPPORTED_FORMAT
    assert "pi-heif" in outcome.detail
    assert "JPEG" in outcome.detail
