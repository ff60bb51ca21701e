"""Gap: queues are stored under URLs with the port, so mappings lose them on another port.

Here they are stored under one fixed URL; answers contain the host and port that the caller used.
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.emulator import patching

_URL_LOOKS = "84f56260ad93"
_ANSWERED_URL_LOOKS = "099c52a72624"
_KEPT_UNDER = "localhost:4566"


def install() -> None:
    """Store queues under URLs that do not depend on the emulator's port."""
    sqs = patching.module("services.sqs")

    def url(_original: Callable[[str, str], str]) -> Callable[[str, str], str]:
        return lambda account_id, name: f"http://{_KEPT_UNDER}/{account_id}/{name}"

    patching.replace(sqs, "_queue_url_for_account", _URL_LOOKS, url)
    # It already puts the caller's host in the place of this one.
    patching.replace(sqs, "_externalize_url", _ANSWERED_URL_LOOKS, lambda original: original)
    sqs._CANONICAL_NETLOC = _KEPT_UNDER
