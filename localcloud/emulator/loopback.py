"""Gap: policies that allow TLS only refuse everything, because the emulator speaks plain HTTP.

A request over the loopback interface counts as `aws:SecureTransport`; there is no other kind here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_PIN_LOOKS = "de819c1bd9ac"


def install() -> None:
    """Say of every request that it came over a secure transport."""

    def pin(original: Callable[[str, bool], None]) -> Callable[[str, Any], None]:
        return lambda source_ip, _secure_transport: original(source_ip, True)

    patching.replace(patching.module("app"), "pin_request_origin", _PIN_LOOKS, pin)
