"""A folder, an inventory and a list of keys name the same images."""

from __future__ import annotations

import csv
import gzip
import io
import json
from urllib.parse import quote

import pytest

from bulk.sources import SourceError, image_source
from tests.fakes import jpeg
from tests.unit.bulk.conftest import Bulk, bulk_run

KEYS = ["folder/a b+c%20é.jpg", "folder/sub/🐶.jpg", "folder/z.jpg"]


def listed(bulk: Bulk) -> list[str]:
    bulk.list()
    return [
        line["key"]
        for chunk in bulk.chunks(0)
        for line in bulk.work.read_lines(bulk.files.listing(chunk))
    ]


@pytest.fixture
def filled(bulk: Bulk) -> Bulk:
    for key in KEYS:
        bulk.put(key, jpeg())
    return bulk


def test_a_folder_lists_current_versions_only(filled: Bulk) -> None:
    version = filled.put("folder/z.jpg", jpeg(3))
    filled.put("folder/deleted.jpg", jpeg())
    filled.s3.delete_object(Bucket="images", Key="folder/deleted.jpg")
    assert listed(filled) == KEYS
    lines = filled.work.read_lines(filled.files.listing(filled.chunks(0)[-1]))
    assert lines[-1]["version"] == version


def test_a_bucket_without_versions_is_listed_by_etag(bulk: Bulk) -> None:
    bulk.s3.create_bucket(Bucket="plain")
    etag = bulk.s3.put_object(Bucket="plain", Key="folder/1.jpg", Body=jpeg(5))["ETag"].strip('"')
    bulk.run = bulk_run(source={"kind": "folder", "bucket": "plain", "prefix": "folder/"})
    report = bulk.go()
    assert report["classified"] == 1
    row = bulk.table.get("s3://plain/folder/1.jpg")
    assert row is not None
    assert row.version == etag


def test_a_list_of_keys_is_read_line_by_line(filled: Bulk) -> None:
    lines = [KEYS[0], f"s3://images/{KEYS[1]}", "", KEYS[2], "folder/gone.jpg"]
    filled.work.write("lists/mine.txt", "\r\n".join(lines).encode(), "text/plain")
    source = {"kind": "list", "uri": "s3://work/lists/mine.txt", "bucket": "images"}
    filled.run = bulk_run(source=source)
    report = filled.go()
    assert (report["classified"], report["skips"]) == (3, {"gone": 1})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-with-bom"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_list_is_read_in_the_encodings_that_editors_save(
    filled: Bulk, encoding: str, line_end: str
) -> None:
    text = line_end.join((*KEYS, ""))
    with_bom = encoding == "utf-16-be-with-bom"
    content = ("\ufeff" + text).encode("utf-16-be") if with_bom else text.encode(encoding)
    filled.work.write("lists/mine.txt", content, "text/plain")
    source = {"kind": "list", "uri": "s3://work/lists/mine.txt", "bucket": "images"}
    filled.run = bulk_run(source=source)
    assert listed(filled) == KEYS


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a.jpg\n".encode("utf-16-le"), "zero byte: save it as UTF-8"),
        ("ok.jpg\né.jpg\n".encode("latin-1"), "not UTF-8"),
        ("\ufeffa.jpg".encode("utf-16-le")[:-1], "not UTF-8"),
    ],
)
def test_a_list_in_another_encoding_says_what_to_do(
    bulk: Bulk, content: bytes, problem: str
) -> None:
    bulk.work.write("lists/mine.txt", content, "text/plain")
    bulk.run = bulk_run(
        source={"kind": "list", "uri": "s3://work/lists/mine.txt", "bucket": "images"}
    )
    with pytest.raises(SourceError, match=problem):
        bulk.list()


def test_a_list_with_another_bucket_is_refused(bulk: Bulk) -> None:
    bulk.work.write("lists/mine.txt", b"s3://other/1.jpg\n", "text/plain")
    bulk.run = bulk_run(
        source={"kind": "list", "uri": "s3://work/lists/mine.txt", "bucket": "images"}
    )
    with pytest.raises(SourceError, match="one bucket a run"):
        bulk.list()


def inventory(bulk: Bulk, file_format: str = "CSV") -> None:
    for number, keys in enumerate((KEYS[:2], [KEYS[2], "elsewhere/1.jpg"])):
        text = io.StringIO()
        rows = csv.writer(text, quoting=csv.QUOTE_ALL)
        for key in keys:
            rows.writerow(["images", quote(key), "v0", "false", "false", "10"])
            rows.writerow(["images", quote(key), "v1", "true", "false", "10"])
        rows.writerow(["images", "folder/deleted.jpg", "v2", "true", "true", ""])
        packed = gzip.compress(text.getvalue().encode())
        bulk.work.write(f"inventory/{number}.csv.gz", packed, "application/gzip")
    manifest = {
        "sourceBucket": "images",
        "destinationBucket": "arn:aws:s3:::work",
        "fileFormat": file_format,
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size",
        "files": [{"key": f"inventory/{number}.csv.gz"} for number in range(2)],
    }
    bulk.work.write("inventory/manifest.json", json.dumps(manifest).encode(), "application/json")
    bulk.run = bulk_run(
        source={
            "kind": "inventory",
            "manifest": "s3://work/inventory/manifest.json",
            "prefix": "folder/",
        }
    )


def test_an_inventory_lists_what_the_folder_holds(filled: Bulk) -> None:
    inventory(filled)
    assert sorted(listed(filled)) == sorted(KEYS)
    assert filled.go()["classified"] == 3


def test_an_inventory_in_another_format_says_what_to_do(filled: Bulk) -> None:
    inventory(filled, "ORC")
    with pytest.raises(SourceError, match="CSV"):
        filled.list()


@pytest.mark.parametrize("content", [b"a.jpg\nb.jpg\n", b"[]", b"{}", b"\xff\xfe{\0"])
def test_something_else_than_an_inventory_is_refused(filled: Bulk, content: bytes) -> None:
    inventory(filled)
    filled.work.write("inventory/manifest.json", content, "application/json")
    with pytest.raises(SourceError, match=r"not the manifest\.json of an S3 Inventory"):
        filled.list()


def test_damaged_file_of_an_inventory_is_named(filled: Bulk) -> None:
    inventory(filled)
    for content in (b"no gzip", gzip.compress(b"x" * 999)[:-9], gzip.compress(b"\xff,\xfe")):
        filled.work.write("inventory/0.csv.gz", content, "application/gzip")
        with pytest.raises(SourceError, match=r"inventory/0\.csv\.gz is not a gzip file"):
            filled.list()


def test_an_unknown_source_is_refused(bulk: Bulk) -> None:
    with pytest.raises(SourceError):
        image_source(bulk.s3, {"kind": "website"})
