"""Gap: policies that require TLS refuse everything, because the emulator speaks plain HTTP.

All requests come over the loopback interface and count as `aws:SecureTransport`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_PIN_LOOKS = "de819c1bd9ac"


def install() -> None:
    """Mark every request as one over a secure transport."""

    def pin(original: Callable[[str, bool], None]) -> Callable[[str, Any], None]:
        return lambda source_ip, _secure_transport: original(source_ip, True)

    patching.replace(patching.module("app"), "pin_request_origin", _PIN_LOOKS, pin)
