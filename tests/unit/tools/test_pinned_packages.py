"""What is installed is exactly what was tested."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.hashes import with_hashes
from tools.requirement_files import PROJECT, WITHOUT_HASHES, Pin, entries, hashed_files, pins

EVERY_FILE = sorted(
    [
        *(PROJECT / "requirements").rglob("*.txt"),
        *(PROJECT / "requirements").rglob("*.json"),
        *(PROJECT / folder / "requirements.txt" for folder in ("functions", "model")),
        PROJECT / "training" / "job" / "requirements.txt",
    ]
)


@pytest.mark.parametrize("path", hashed_files(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_package_is_pinned_with_the_hashes_of_its_files(path: Path) -> None:
    found = pins(path.read_text())
    assert found
    for pin in found:
        assert pin.hashes, pin.requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in pin.hashes), pin


def test_torch_alone_has_no_hashes() -> None:
    # Each index has other builds of it, and TORCH_OPTIONS chooses one.
    assert {"torch.txt"} == WITHOUT_HASHES
    assert {pin.name for pin in pins((PROJECT / "requirements" / "torch.txt").read_text())} >= {
        "torch",
        "torchvision",
    }


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_file_says_where_packages_come_from(path: Path) -> None:
    content = path.read_text()
    for told in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host"):
        assert told not in content


def test_the_npm_package_is_pinned_with_its_hash() -> None:
    lock = json.loads((PROJECT / "requirements/cfn-guard/package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


@pytest.mark.parametrize("line", ["pillow>=13", "pillow", "pillow @ file:///pillow.whl", "-e ."])
def test_what_is_no_exact_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no exact pin"):
        list(entries(line))


def test_hashes_are_written_beside_the_pins_and_comments_stay() -> None:
    content = '# ours\nPyYAML==6.0.4\npillow==12.0.0; python_version < "3.12"\n'
    known = {("pyyaml", "6.0.4"): ("sha256:aa",), ("pillow", "12.0.0"): ("sha256:bb", "sha256:cc")}
    written = with_hashes(content, known)
    assert list(entries(written)) == [
        "# ours",
        Pin("PyYAML", "6.0.4", "", ("sha256:aa",)),
        Pin("pillow", "12.0.0", 'python_version < "3.12"', ("sha256:bb", "sha256:cc")),
    ]
    assert with_hashes(written, known) == written
