"""Text from strangers, made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escapes control characters: keys come from strangers and must not reach the terminal."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
