"""Gap: the input and output of a state are unlimited, and `States.ALL` catches every error.

On AWS more than 256 KiB end the execution with `States.DataLimitExceeded`, which no Retry and Catch
of `States.ALL` handles; the same is true for `States.Runtime`.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from localcloud.emulator import patching

MAX_PAYLOAD_BYTES = 256 * 1024
_MATCHES_LOOKS = "519b9dc729c5"
_RESULT_LOOKS = "2c9e674e99b4"
# The others return a task's request or a state's output.
_GIVING = {
    "_apply_parameters": "a90d58220630",
    "_apply_output_path": "e9cfd0067244",
    "_apply_catcher": "ca17bcad86a8",
    "_apply_jsonata_arguments": "c74f8b18dccd",
    "_apply_jsonata_output": "687e63886e94",
}
_TERMINAL = frozenset({"States.DataLimitExceeded", "States.Runtime"})


def install() -> None:
    """Enforce the limit, and let those two errors through `States.ALL`."""
    sfn = patching.module("services.stepfunctions")
    patching.replace(sfn, "_error_matches", _MATCHES_LOOKS, _unless_terminal)
    patching.replace(sfn, "_apply_result_selector", _RESULT_LOOKS, partial(_limiting_result, sfn))
    for name, looks in _GIVING.items():
        patching.replace(sfn, name, looks, partial(_limiting, sfn))


def _unless_terminal(original: Callable[..., bool]) -> Callable[..., bool]:
    def matches(error_equals: list[str], error: str) -> bool:
        if error in _TERMINAL:
            return error in error_equals
        return original(error_equals, error)

    return matches


def _limiting_result(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def select(state: Any, result: Any) -> Any:
        _require_within_limit(sfn, result)
        return original(state, result)

    return select


def _limiting(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*args: Any, **kwargs: Any) -> Any:
        given = original(*args, **kwargs)
        _require_within_limit(sfn, given)
        return given

    return apply


def _require_within_limit(sfn: Any, payload: Any) -> None:
    size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_PAYLOAD_BYTES:
        raise sfn._ExecutionError(
            "States.DataLimitExceeded",
            "The state/task returned a result with a size exceeding the maximum number of bytes "
            f"service limit ({size:,} bytes, at most {MAX_PAYLOAD_BYTES:,}).",
        )
