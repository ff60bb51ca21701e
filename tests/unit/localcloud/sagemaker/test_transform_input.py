"""Which objects a transform job takes, and where their outputs go."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.sagemaker.storage import Storage, split_s3_uri
from localcloud.sagemaker.transform_input import (
    InputError,
    InputObject,
    input_pages,
    output_location,
    parse_manifest,
)


class FakeStorage(Storage):
    """Two pages of keys."""

    def __init__(self, *pages: list[str]) -> None:
        self._pages = pages

    def list_pages(self, bucket: str, prefix: str) -> Any:
        assert bucket == "photos"
        return ([key for key in page if key.startswith(prefix)] for page in self._pages)


def relative_names(prefix: str, *pages: list[str]) -> list[list[str]]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://photos/{prefix}"}
    found = input_pages(FakeStorage(*pages), source)
    return [[item.relative for item in page] for page in found]


def test_listing_is_passed_on_page_by_page() -> None:
    assert relative_names("in/", ["in/a", "in/b/c"], ["in/d"]) == [["a", "b/c"], ["d"]]


def test_folder_markers_are_no_objects() -> None:
    assert relative_names("in/", ["in/", "in/sub/", "in/sub/a"]) == [["sub/a"]]


def test_names_are_relative_to_the_last_folder_of_the_prefix() -> None:
    assert relative_names("in/ph", ["in/photo.jpg", "in/phone/1.jpg"]) == [
        ["photo.jpg", "phone/1.jpg"]
    ]
    assert relative_names("", ["a", "b/c"]) == [["a", "b/c"]]


def test_manifest_names_objects_under_its_prefix() -> None:
    content = b'[{"prefix": "s3://photos/in/"}, "a", "b/c d"]'
    assert parse_manifest(content) == [
        InputObject("photos", "in/a", "a"),
        InputObject("photos", "in/b/c d", "b/c d"),
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'["a"]', b'[{"prefix": 1}, "a"]', b'[{"prefix": "s3://a/"}, 1]'],
)
def test_malformed_manifest_is_the_client_s_error(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^ClientError: the manifest is not"):
        parse_manifest(content)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://out/folder", ("out", "folder/b/c.npy.out")),
        ("s3://out/folder/", ("out", "folder/b/c.npy.out")),
        ("s3://out", ("out", "b/c.npy.out")),
        ("s3://out/", ("out", "b/c.npy.out")),
    ],
)
def test_output_keeps_the_folders_and_gains_a_suffix(path: str, expected: tuple[str, str]) -> None:
    assert output_location(path, InputObject("photos", "in/b/c.npy", "b/c.npy")) == expected


@pytest.mark.parametrize("key", ["a#b.jpg", "a?b.jpg", "a%20b+c.jpg", "ä/é.jpg", "/twice"])
def test_keys_are_taken_literally(key: str) -> None:
    assert split_s3_uri(f"s3://bucket/{key}") == ("bucket", key)
