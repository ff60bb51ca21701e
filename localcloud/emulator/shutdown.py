"""Gap: an emulator that ends waits for the functions its executions wait for, up to 15 minutes.

And it saves no execution at all when one of them changes at that moment. Here executions let go
first, then their state is saved, then the functions are ended. A transform job goes on: SageMaker
is another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from localcloud.emulator import patching, stopped_executions

_GET_STATE_LOOKS = "7d1a3261edd6"
_TRIES = 100
_PAUSE_SECONDS = 0.02


def install() -> None:
    """Let executions go before their state is saved; MiniStack asks for it at its end only."""
    sfn = patching.module("services.stepfunctions")

    def saving(original: Callable[[], Any]) -> Callable[[], Any]:
        return partial(_state_at_rest, original)

    patching.replace(sfn, "get_state", _GET_STATE_LOOKS, saving)


def end_functions() -> None:
    """End every function's process, whatever it is doing."""
    patching.module("core.lambda_runtime").reset()


def _state_at_rest(original: Callable[[], Any]) -> Any:
    stopped_executions.abandon_all()
    for _ in range(_TRIES - 1):
        try:
            return original()
        except RuntimeError:  # a dictionary grew while it was copied: threads are still leaving
            time.sleep(_PAUSE_SECONDS)
    return original()
