"""A bulk run logs and reports no image content; its shards hold only pixels."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.unit.bulk.conftest import Bulk

SECRETS = (b"SECRET description", b"SECRET:GPS:DATE", b"SECRET comment")


def photo() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRETS[0].decode()
    exif.get_ifd(0x8825)[29] = SECRETS[1].decode()
    picture = io.BytesIO()
    Image.new("RGB", (16, 16)).save(picture, "JPEG", exif=exif, comment=SECRETS[2])
    return picture.getvalue()


def test_nothing_that_an_image_holds_is_logged_or_lies_in_the_work_bucket(
    bulk: Bulk, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    content = photo()
    assert all(secret in content for secret in SECRETS)
    bulk.put("folder/good.jpg", content)
    bulk.put("folder/cut.jpg", content[: len(content) // 2])
    bulk.put("folder/text.jpg", b"SECRET text")
    bulk.spoil = lambda _name, _answer: b"no JSON"

    bulk.go()

    logged = caplog.text + "".join(str(vars(each)) for each in caplog.records)
    assert "invalid output" in logged
    assert "SECRET" not in logged + "".join(capsys.readouterr())
    written = list(bulk.work.keys(""))
    assert bulk.files.report_json in written
    for key in written:
        assert b"SECRET" not in (bulk.work.read(key) or b""), key
