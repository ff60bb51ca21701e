"""Promises about imports and settings that lint-imports cannot state."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).parents[3]
FUNCTIONS = PROJECT / "functions"
ROOMS = (
    *("handlers", "api", "bulk", "changes", "registry", "serving_image", "page"),
    *("pipeline", "archive", "imaging"),
)

# The decoder's process gets these two variables; they are not settings of ours.
PASSED_ON = {"imaging/decoder.py"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, include_external_packages=True)


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(FUNCTIONS))
        for path in FUNCTIONS.rglob("*.py")
        if reads_environment(ast.parse(path.read_text()))
    }
    assert readers == {"pipeline/settings.py"} | PASSED_ON


def reads_environment(tree: ast.Module) -> bool:
    return any(
        isinstance(each, ast.Attribute) and each.attr in {"environ", "getenv"}
        for each in ast.walk(tree)
    )


def test_the_core_of_the_pipeline_does_not_know_its_adapters(graph: grimp.ImportGraph) -> None:
    adapters = graph.find_descendants("pipeline.adapters") | {"pipeline.adapters"}
    core = (graph.find_descendants("pipeline") | {"pipeline"}) - adapters
    climbing = [
        f"{module} -> {imported}"
        for module in core
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in adapters
    ]
    assert climbing == []


def test_the_packages_of_the_functions_form_no_circle(graph: grimp.ImportGraph) -> None:
    packages = {
        module: module.rpartition(".")[0] if not graph.find_children(module) else module
        for module in graph.modules
        if module.partition(".")[0] in ROOMS
    }
    arrows = {
        (packages[module], packages[imported])
        for module in packages
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in packages and packages[module] != packages[imported]
    }
    # An adapter reads values and protocols of the package that it is in.
    arrows -= {(child, child.rpartition(".")[0]) for child, _ in arrows}
    assert [arrow for arrow in arrows if arrow[::-1] in arrows] == []


def test_every_function_file_is_in_a_checked_room() -> None:
    folders = {path.relative_to(FUNCTIONS).parts[0] for path in FUNCTIONS.rglob("*.py")}
    assert folders == set(ROOMS)


def test_mypy_skips_no_package_that_is_used_here() -> None:
    """Whatever came from one would have any type."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]
    modules = {
        follows: [name for each in settings["overrides"] for name in names_of(each, follows)]
        for follows in ("skip", "normal")
    }
    skipped = tuple(name.removesuffix("*") for name in modules["skip"])
    checked = [FUNCTIONS, *(PROJECT / each for each in ("imagedrop", "localcloud", "model"))]
    checked += [PROJECT / "tools", PROJECT / "training"]
    for folder in checked:
        for path in folder.rglob("*.py"):
            for name in imported(ast.parse(path.read_text())):
                known = name.rpartition(".")[0] in modules["normal"]
                assert known or not f"{name}.".startswith(skipped), f"{path}: {name}"


def names_of(override: dict[str, object], follows: str) -> Iterator[str]:
    if override.get("follow_imports") == follows:
        names = override["module"]
        yield from names if isinstance(names, list) else [str(names)]


def imported(tree: ast.Module) -> Iterator[str]:
    """Each name that a file imports or takes from a module, with that module."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom) and each.module:
            yield from (f"{each.module}.{alias.name}" for alias in each.names)
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            yield f"{each.value.id}.{each.attr}"
