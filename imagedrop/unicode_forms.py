"""Names that look the same and are stored in different Unicode forms.

macOS uploads names decomposed (NFD: e and an accent); keyboards and most other systems write them
composed (NFC: é). To S3 these are two keys.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from itertools import chain, islice, product
from typing import Literal

from imagedrop.errors import UserError

FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")
# A path of six folders that all have accents.
MAX_SPELLINGS = 64


def spellings(name: str) -> list[str]:
    """Returns the ways in which a name may be stored: as typed, NFC, NFD, then mixed ones.

    In a mixed one the folder was typed and the file was named by macOS, or the other way round.
    """
    whole = (name, *(unicodedata.normalize(form, name) for form in FORMS))
    parts = [
        dict.fromkeys(unicodedata.normalize(form, part) for form in FORMS)
        for part in name.split("/")
    ]
    mixed = ("/".join(each) for each in product(*parts))
    return list(islice(dict.fromkeys(chain(whole, islice(mixed, MAX_SPELLINGS))), MAX_SPELLINGS))


def is_same_name(one: str, other: str) -> bool:
    """Returns whether two names are the same but for their Unicode form."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def choose(typed: str, stored: Collection[str]) -> str:
    """Returns the intended stored name: the typed one if it exists or no other does.

    Raises:
        UserError: the typed one is not stored, and several others are.
    """
    if typed in stored or not stored:
        return typed
    if len(stored) > 1:
        raise UserError(
            f"{len(stored)} images have the name {typed}, each in another Unicode form.",
            f"Give one of these, as bash and zsh read them: {' or '.join(map(shell_text, stored))}",
        )
    return next(iter(stored))


def shell_text(name: str) -> str:
    r"""Returns a name as bash and zsh read it, with each character outside ASCII as \uXXXX."""
    escaped = (
        each
        if each.isascii() and each.isprintable() and each not in "\\'"
        else f"\\u{ord(each):04x}"
        if ord(each) < 0x10000
        else f"\\U{ord(each):08x}"
        for each in name
    )
    return f"$'{''.join(escaped)}'"
