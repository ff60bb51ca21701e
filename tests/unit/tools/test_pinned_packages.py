"""Installed packages are exactly the tested ones."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from pip_requirements_parser import RequirementsFile

from tools import sbom
from tools.paths import PROJECT

REQUIREMENTS = PROJECT / "requirements"
# Each index has other builds of torch (CPU, CUDA), and TORCH_OPTIONS chooses one: no list of hashes
# holds for all of them.
WITHOUT_HASHES = {"torch.txt"}
WRITTEN_BY_HAND = sorted([*REQUIREMENTS.glob("*.in"), PROJECT / "functions" / "requirements.in"])
COMPILED = [path.with_suffix(".txt") for path in WRITTEN_BY_HAND]
EVERY_FILE = sorted(
    [
        *WRITTEN_BY_HAND,
        *REQUIREMENTS.rglob("*.txt"),
        *REQUIREMENTS.rglob("*.json"),
        *(PROJECT / folder / "requirements.txt" for folder in ("functions", "model")),
        PROJECT / "training" / "job" / "requirements.txt",
    ]
)

# Parsing takes longer than all that is asked of what was parsed.
pins = cache(sbom.pins)


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_every_requirement_file_is_compiled_from_a_short_one() -> None:
    compiled = {path.name for path in COMPILED if path.parent == REQUIREMENTS}
    assert {path.name for path in REQUIREMENTS.glob("*.txt")} - WITHOUT_HASHES == compiled


@pytest.mark.parametrize("path", COMPILED, ids=name_of)
def test_every_package_is_pinned_with_the_hashes_of_its_files(path: Path) -> None:
    found = pins(path)
    assert found
    for pin in found:
        assert pin.is_pinned, pin.line
        assert pin.hash_options, pin.line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in pin.hash_options), pin


@pytest.mark.parametrize("path", COMPILED, ids=name_of)
def test_no_line_of_a_requirement_file_escapes_the_check(path: Path) -> None:
    content = RequirementsFile.from_file(str(path))
    assert content.invalid_lines == []
    assert content.options == []
    pinned = re.findall(r"^[^\s#]", path.read_text(), re.M)
    assert len(pinned) == len(content.requirements)


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=name_of)
def test_a_requirement_written_by_hand_is_in_the_compiled_file(path: Path) -> None:
    # A failure here means that `make requirements` was forgotten.
    wanted = {pin.name.lower() for pin in pins(path)}
    assert wanted
    assert wanted <= {pin.name.lower() for pin in pins(path.with_suffix(".txt"))}


def test_the_files_of_one_environment_agree_on_every_version() -> None:
    versions: dict[str, str] = {}
    for name in ("runtime.txt", "train.txt", "test.txt"):
        for pin in pins(REQUIREMENTS / name):
            assert versions.setdefault(pin.name, str(pin.specifier)) == str(pin.specifier), name


def test_torch_alone_has_no_hashes() -> None:
    torch = pins(REQUIREMENTS / "torch.txt")
    assert {pin.name for pin in torch} >= {"torch", "torchvision"}
    assert all(pin.is_pinned for pin in torch)


@pytest.mark.parametrize("path", EVERY_FILE, ids=name_of)
def test_no_file_says_where_packages_come_from(path: Path) -> None:
    content = path.read_text()
    for told in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host"):
        assert told not in content


def test_the_npm_package_is_pinned_with_its_hash() -> None:
    lock = json.loads((REQUIREMENTS / "cfn-guard/package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


@pytest.mark.parametrize(
    "line", ["pillow>=13", "pillow", "pillow @ file:///pillow.whl", "-e .", "pillow=="]
)
def test_a_line_that_is_no_exact_pin_is_found(line: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(line + "\n")
    content = RequirementsFile.from_file(str(path))
    assert content.invalid_lines or not all(each.is_pinned for each in content.requirements)
