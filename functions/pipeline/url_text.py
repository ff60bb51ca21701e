"""Text that is safe in every part of a URL: base64 of its UTF-8, without padding."""

from __future__ import annotations

import base64


def to_url_text(text: str) -> str:
    """Encodes any text."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_url_text(encoded: str) -> str:
    """Decodes the result of ``to_url_text``.

    Raises:
        ValueError: ``to_url_text`` does not return such a text.
    """
    text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_").decode()
    if to_url_text(text) != encoded:
        raise ValueError("another spelling of an encoded text")
    return text
