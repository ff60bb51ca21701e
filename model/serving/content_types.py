"""Content types of request bodies."""

from __future__ import annotations

NPY = "application/x-npy"
IMAGES = frozenset({"image/jpeg", "image/png", "image/webp", "application/x-image"})
ACCEPTED = (NPY, *sorted(IMAGES))


def parse_content_type(value: str) -> tuple[str, str | None]:
    """The media type in lower case, and its ``spec`` parameter if it has one.

    Parameters nobody asked for (``charset=utf-8``, which HTTP clients add by themselves) are
    passed over.
    """
    media_type, *parameters = value.split(";")
    spec = None
    for parameter in parameters:
        name, _, given = parameter.partition("=")
        if name.strip().lower() == "spec":
            spec = given.strip().strip('"')
    return media_type.strip().lower(), spec
