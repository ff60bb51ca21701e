"""The one error of the local cloud's lifecycle."""

from __future__ import annotations


class LocalCloudError(Exception):
    """The local cloud could not do what was asked; the message says why and what to do next."""
