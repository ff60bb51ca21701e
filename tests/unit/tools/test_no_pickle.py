"""Nothing that is read can run code: no pickle where images are served, nor unguarded elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.paths import PROJECT

SERVING = ("functions", "model/serving", "functions/archive/reading.py")
EVERYTHING = ("functions", "model", "training", "imagedrop")
UNPICKLERS = {
    *("pickle", "cPickle", "_pickle", "pickletools", "dill", "cloudpickle", "joblib"),
    *("marshal", "shelve", "jsonpickle", "torch", "pandas"),
}


def files(places: tuple[str, ...]) -> Iterator[tuple[Path, ast.Module]]:
    for place in places:
        path = PROJECT / place
        for each in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield each.relative_to(PROJECT), ast.parse(each.read_text())


def imported(tree: ast.AST) -> set[str]:
    """First parts of the names of all modules that are imported, anywhere."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).partition(".")[0])
    return names


def unguarded(tree: ast.AST) -> Iterator[str]:
    """Calls that may run what they read."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="pickle"), attr=attribute):
                if attribute not in ("UnpicklingError", "PickleError"):
                    yield f"pickle.{attribute}"
        if isinstance(node, ast.ImportFrom) and node.module == "pickle":
            yield "from pickle import"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        if name == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        if given.get("allow_pickle", "False") != "False":
            yield f"{name} with allow_pickle"
        if name in ("joblib.load", "eval", "exec", "marshal.loads", "shelve.open", "yaml.load"):
            yield name
        if name.endswith((".extractall", ".extract")) and given.get("filter") != "'data'":
            yield f"{name} without filter='data'"
        if name in ("shutil.unpack_archive", "zipfile.ZipFile.extractall"):
            yield name


def test_the_serving_path_imports_nothing_that_unpickles() -> None:
    found = {str(path): imported(tree) & UNPICKLERS for path, tree in files(SERVING)}
    assert len(found) > 20
    assert {path: names for path, names in found.items() if names} == {}


def test_nothing_of_ours_unpickles_or_unpacks_without_a_guard() -> None:
    found = {str(path): list(unguarded(tree)) for path, tree in files(EVERYTHING)}
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "tar.extractall('x')",
        "tar.extract('x', filter='fully_trusted')",
        "import shutil\nshutil.unpack_archive('x')",
        "eval('1')",
    ],
)
def test_a_call_that_may_run_what_it_reads_is_found(source: str) -> None:
    assert list(unguarded(ast.parse(source)))
