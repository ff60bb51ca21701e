"""The layer that is added to the base image."""

from __future__ import annotations

import gzip
import hashlib
import marshal
import tarfile
from pathlib import Path
from types import CodeType

import pytest

from serving_image.layer import LayerError, write_layer

from .made_wheels import make_wheel

SITE = "usr/local/lib/python3.13/site-packages"
SERVE = {"usr/local/bin/serve": b"#!/bin/sh\n"}


def names_in(layer: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer) as tar:
        return {member.name: member for member in tar}


def content_of(layer: Path, name: str) -> bytes:
    with tarfile.open(layer) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_files_of_a_wheel_are_in_site_packages(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "birds", {"birds/__init__.py": b"WREN = 1\n"})

    layer = write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz")

    assert content_of(layer.path, f"{SITE}/birds/__init__.py") == b"WREN = 1\n"
    assert content_of(layer.path, "usr/local/bin/serve") == b"#!/bin/sh\n"
    assert names_in(layer.path)["usr/local/bin/serve"].mode == 0o755


def test_same_wheels_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path, "birds", {"birds.py": b"x = 1\n"}),
        make_wheel(tmp_path, "dogs", {"dogs.py": b"y = 2\n"}),
    ]

    first = write_layer(wheels, SITE, SERVE, tmp_path / "first.tar.gz")
    second = write_layer(wheels[::-1], SITE, SERVE, tmp_path / "second.tar.gz")

    assert first.digest == second.digest
    assert first.path.read_bytes() == second.path.read_bytes()


def test_digests_are_those_of_the_file_and_of_the_tar_inside(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "birds", {"birds.py": b"x = 1\n"})

    layer = write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz")

    packed = layer.path.read_bytes()
    assert layer.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(packed)).hexdigest()}"
    assert layer.size_bytes == len(packed)


def test_modules_are_compiled_with_their_path_in_the_image(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "birds", {"birds.py": b"def sing():\n    return 'tweet'\n"})

    layer = write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz")

    [compiled] = [name for name in names_in(layer.path) if name.endswith(".pyc")]
    content = content_of(layer.path, compiled)
    # PEP 552: bit 0 of the flags says hash, bit 1 says that it is checked.
    assert int.from_bytes(content[4:8], "little") == 0b01
    code = marshal.loads(content[16:])  # noqa: S302 - made by the test
    assert isinstance(code, CodeType)
    assert code.co_filename == f"/{SITE}/birds.py"


def test_pip_of_the_base_is_hidden(tmp_path: Path) -> None:
    names = names_in(write_layer([], SITE, SERVE, tmp_path / "layer.tar.gz").path)

    assert f"{SITE}/.wh..wh..opq" in names
    assert "usr/local/lib/python3.13/.wh.ensurepip" in names
    assert {"usr/local/bin/.wh.pip", "usr/local/bin/.wh.pip3.13"} <= set(names)


def test_tests_headers_and_programs_of_a_wheel_are_left_out(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "birds",
        {
            "birds/tests/test_song.py": b"",
            "birds/song.h": b"",
            "birds-1.0.data/scripts/sing": b"",
            "birds-1.0.data/purelib/wren.py": b"",
        },
    )

    names = names_in(write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz").path)

    assert f"{SITE}/wren.py" in names
    assert not [name for name in names if "song" in name or "sing" in name]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "birds\\..\\x"])
def test_wheel_with_a_name_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "birds", {name: b""})

    with pytest.raises(LayerError, match="name"):
        write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz")


def test_damaged_wheel_is_named(tmp_path: Path) -> None:
    wheel = tmp_path / "birds-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not a zip file")

    with pytest.raises(LayerError, match=r"birds-1\.0"):
        write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz")


def test_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "birds", {"birds.py": b"def :\n"})

    with pytest.raises(LayerError, match=r"birds\.py does not compile"):
        write_layer([wheel], SITE, SERVE, tmp_path / "layer.tar.gz")
