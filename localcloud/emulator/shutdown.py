"""Gap: at its end the emulator waits for running functions, up to 15 minutes.

It also saves no execution at all when one of them changes at that moment. Here executions are
abandoned first, then the state is saved, then the functions are ended. Transform jobs continue:
SageMaker is another process.
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
    """Abandon executions before their state is saved; MiniStack saves it only at its end."""
    sfn = patching.module("services.stepfunctions")

    def saving(original: Callable[[], Any]) -> Callable[[], Any]:
        return partial(_state_at_rest, original)

    patching.replace(sfn, "get_state", _GET_STATE_LOOKS, saving)


def end_functions() -> None:
    """End the process of every function."""
    patching.module("core.lambda_runtime").reset()


def _state_at_rest(original: Callable[[], Any]) -> Any:
    stopped_executions.abandon_all()
    for _ in range(_TRIES - 1):
        try:
            return original()
        except RuntimeError:  # a dictionary grew while it was copied: threads are still leaving
            time.sleep(_PAUSE_SECONDS)
    return original()
