"""The docs build as a site whose links lead somewhere and that needs no other site to be read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
SPHINX = REPOSITORY / ".tools" / "docs" / "bin" / "sphinx-build"
# What a browser fetches by itself: scripts, styles, fonts, pictures, frames.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//"""
    r"""|<link\b[^>]*\brel=["'](?:stylesheet|preload|preconnect)["'][^>]*\bhref=["'](?:https?:)?//"""
    r"""|@import\s+["'(]|url\(["']?(?:https?:)?//"""
)

pytestmark = pytest.mark.thorough


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    if not SPHINX.exists():
        pytest.skip("Sphinx is not installed: make docs")
    options = ("-q", "-W", "--keep-going", "-c", source / "docs", "-d", site.with_name("doctrees"))
    return subprocess.run(
        [SPHINX, *options, source, site], capture_output=True, text=True, timeout=300, check=False
    )


def test_every_page_is_in_the_site_and_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    finished = build(REPOSITORY, site)
    assert finished.returncode == 0, finished.stderr
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    sources = {
        path.relative_to(REPOSITORY).with_suffix(".html").as_posix()
        for path in (REPOSITORY / "docs").rglob("*.md")
    }
    assert {"index.html", *sources} <= pages
    fetched = {
        f"{path.relative_to(site)}: {found}"
        for path in site.rglob("*")
        if path.suffix in {".html", ".css"}
        for found in FETCHED.findall(path.read_text())
    }
    assert fetched == set()


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("conf.py", "look.md"):
        (source / "docs").mkdir(parents=True, exist_ok=True)
        (source / "docs" / name).write_text((REPOSITORY / "docs" / "conf.py").read_text())
    (source / "docs" / "look.md").write_text("# Look\n")
    links = "[there](docs/missing.md) [and there](docs/look.md#no-such-heading)"
    (source / "README.md").write_text(f"# Front\n\n{links}\n")
    finished = build(source, tmp_path / "site")
    assert finished.returncode != 0
    assert "'docs/missing.md'" in finished.stderr
    assert "'no-such-heading'" in finished.stderr
