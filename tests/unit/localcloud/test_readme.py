"""localcloud/README.md names every patch of MiniStack and every function that one pins."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from localcloud.environments import REPOSITORY

EMULATOR = REPOSITORY / "localcloud" / "emulator"
PATCHES = sorted(
    path
    for path in EMULATOR.glob("*.py")
    if "def install(" in path.read_text() and path.stem != "patching"
)


def pinned(source: str) -> set[str]:
    """Names of the functions that a patch compares with a hash before it replaces them."""
    tree = ast.parse(source)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "patching.replace":
            if isinstance(node.args[1], ast.Constant):
                names.add(str(node.args[1].value))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("_STEPS", "_GIVING"):
            assert isinstance(node.value, ast.Dict)
            names |= {str(ast.literal_eval(key)) for key in node.value.keys if key}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "patching.extend_resource":
            names.add(f"handlers of `{ast.literal_eval(node.args[0])}`")
    return names


def rows() -> dict[str, str]:
    """The lines of the README's table of patches, by file name."""
    lines = (REPOSITORY / "localcloud" / "README.md").read_text().splitlines()
    return {line.split("`")[1]: line for line in lines if line.count("|") == 5 and ".py`" in line}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.stem)
def test_each_patch_and_its_pinned_functions_are_in_the_readme(patch: Path) -> None:
    pins = rows()[patch.name].split("|")[4]
    names = pinned(patch.read_text())
    assert {name for name in names if name.strip("`") not in pins and name not in pins} == set()


def test_the_readme_names_no_patch_that_is_gone() -> None:
    assert set(rows()) == {path.name for path in PATCHES}
