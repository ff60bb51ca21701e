"""The tree in docs/architecture.md is the repository's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
HANDLERS = REPOSITORY / "functions" / "handlers"
MAX_HANDLER_LINES = 60
MAX_LINES = 400
PAGE = REPOSITORY / "docs" / "architecture.md"
# Folders that the tree names in one line.
WHOLE = {"tests", "demo", "requirements"}


def drawn() -> set[str]:
    """Return the folders of the page's tree."""
    text = PAGE.read_text()
    (block,) = re.findall(r"^```\n(template\.yaml.*?)^```", text, re.S | re.M)
    parents: list[str] = []
    found = set()
    for line in block.splitlines():
        name = line.split()[0]
        if name.endswith("/"):
            depth = (len(line) - len(line.lstrip())) // 2
            parents = [*parents[:depth], name.rstrip("/")]
            found.add("/".join(parents))
    return found


def tracked(*patterns: str) -> list[str]:
    """Return the paths of the tracked files, all without patterns."""
    command = ["git", "ls-files", "--", *patterns]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def there() -> set[str]:
    """Return the folders that hold tracked files, except hidden ones and those below `WHOLE`."""
    folders = {str(parent) for file in tracked() for parent in Path(file).parents} - {"."}
    return {
        folder
        for folder in folders
        if not folder.startswith(".") and ("/" not in folder or folder.split("/")[0] not in WHOLE)
    }


def test_the_tree_names_every_folder_and_no_other() -> None:
    assert drawn() == there()


def test_every_root_entry_is_explained_once_in_contributing() -> None:
    entries = {Path(file).parts[0] for file in tracked()}
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    explained = re.findall(r"^\| `([^`]+?)/?` \|", text.partition("## The root")[2], re.M)
    assert sorted(explained) == sorted(entries)
    assert len(entries) <= 24


def test_a_handler_fits_a_screen_because_policy_is_below_it() -> None:
    handlers = list(HANDLERS.glob("*.py"))
    assert HANDLERS / "classify.py" in handlers
    assert longer_than(MAX_HANDLER_LINES, handlers) == {}


def test_a_file_of_the_product_has_few_lines() -> None:
    product = (name for name in tracked("*.py") if not name.startswith("tests/"))
    files = [REPOSITORY / name for name in product if (REPOSITORY / name).exists()]
    assert HANDLERS / "classify.py" in files
    assert longer_than(MAX_LINES, files) == {}


def test_each_walk_through_the_code_is_as_short_as_the_page_says() -> None:
    text = PAGE.read_text().partition("### Read it in an afternoon")[2].partition("\n## ")[0]
    walks = re.findall(r"^\| ([^|]+) \| (\[.+) \| ([\d,]+) \|$", text, re.M)
    assert len(walks) == 5
    for name, links, said in walks:
        files = [PAGE.parent / link for link in re.findall(r"\]\(([^)]+)\)", links)]
        lines = sum(longer_than(0, files).values())
        assert lines <= int(said.replace(",", "")) < 1.15 * lines, (name, lines)


def longer_than(most: int, files: list[Path]) -> dict[str, int]:
    lines = {str(path): len(path.read_text().splitlines()) for path in files}
    return {name: count for name, count in lines.items() if count > most}
