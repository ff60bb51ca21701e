"""The docs as a site: `make docs` builds it from the pages as they are, with strict links.

The repository is the source folder, so that links to files outside `docs/` lead somewhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

project = "imagedrop"
html_title = project
root_doc = "README"
extensions = ["myst_parser"]
include_patterns = ["*.md", "docs/*.md", "docs/decisions/*.md", "demo/*.md", "localcloud/*.md"]
# Not only left out: not walked through either.
exclude_patterns = [".*", "build", "runs", "node_modules"]
myst_heading_anchors = 6
highlight_language = "none"

html_theme = "furo"
html_copy_source = False
html_show_sourcelink = False

# The front page is README.md, which other sites show without a table of contents.
CONTENTS = """
```{toctree}
:hidden:
:glob:

docs/look
docs/review-and-learn
docs/asking
docs/getting-started
docs/first-deployment
docs/architecture
docs/bulk
docs/api
docs/training
docs/local-cloud
docs/operations
docs/security
docs/*
docs/decisions/README
CHANGELOG
CONTRIBUTING
demo/NOTICE
localcloud/README
```
"""
DECISIONS = """
```{toctree}
:hidden:
:glob:

*
```
"""


def setup(app: Any) -> None:
    """Adds the table of contents; diagrams stay text, because mermaid would be 3 MB of script."""
    app.connect("source-read", _with_contents)
    app.add_lexer("mermaid", TextLexer)
    app.connect("build-finished", _with_index)


def _with_contents(_app: Any, page: str, source: list[str]) -> None:
    source[0] += {"README": CONTENTS, "docs/decisions/README": DECISIONS}.get(page, "")


def _with_index(app: Any, error: Exception | None) -> None:
    """The front page is also what a folder's address shows."""
    if error is None:
        shutil.copyfile(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")
