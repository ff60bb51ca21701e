"""Promises about imports and settings that lint-imports cannot state."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

FUNCTIONS = Path(__file__).parents[3] / "functions"
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
