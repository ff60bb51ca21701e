"""The page's files and the headers that protect them, for each host that serves the page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).with_name("static")
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
ASSETS = "page/"
INDEX = "index.html"
_NAME = re.compile(r"[a-z_]+\.(css|js|svg)")
# The page's scripts write text and elements alone: no sink of markup is left to protect.
TRUSTED_TYPES = "require-trusted-types-for 'script'; trusted-types 'none'"


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is served."""

    content: bytes
    content_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def read_page_file(path: str) -> PageFile | None:
    """Returns the file at a path relative to the page's address; None when there is none.

    The empty path is the page itself; its scripts and styles are below ``page/``. Nothing is kept
    in memory: a function that answers other requests reads no file.
    """
    name = INDEX if path == "" else path.removeprefix(ASSETS)
    if path != "" and not (path.startswith(ASSETS) and _NAME.fullmatch(name)):
        return None
    file = STATIC / name
    if not file.is_file():
        return None
    return PageFile(file.read_bytes(), CONTENT_TYPES[file.suffix])


def bucket_origins(bucket: str, region: str) -> list[str]:
    """Returns the origins to which a presigned form of a bucket may lead."""
    return [f"https://{bucket}.s3.{region}.amazonaws.com", f"https://{bucket}.s3.amazonaws.com"]


def security_headers(connect_to: Sequence[str]) -> dict[str, str]:
    """Returns the headers of every answer of a host.

    Args:
        connect_to: origins besides the page's own that its scripts may call: where photos are
            uploaded, and the issuer of tokens.
    """
    connect = " ".join(["'self'", *connect_to])
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
            f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            f"{TRUSTED_TYPES}"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
