"""Gap: an exception in a handler ends the warm worker, and its class name is lost.

On AWS the execution environment takes the next event, and `errorType` is the class. A killed worker
is reported as an exception of the handler, too; AWS reports `Runtime.ExitError`.
https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_INVOKE_LOOKS = "96751a754710"
_EXECUTE_LOOKS = "62b9218bef5b"
# In MiniStack's worker script, after `handler_fn(event, context)`. A worker that answers "error"
# is ended, so ours answers "ok" and adds the exception.
_ANSWER = (
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), '
    '"trace": traceback.format_exc()}) + "\\n")'
)
_ANSWER_WITH_CLASS = (
    '_real_stdout.write(json.dumps({"status": "ok", "result": None, "raised": '
    '{"type": type(e).__name__, "message": str(e), "trace": traceback.format_exc()}}) + "\\n")'
)
_WORKER_DIED = "Worker process died"  # the message of MiniStack's `Worker.invoke`
_raised: contextvars.ContextVar[str | None] = contextvars.ContextVar("raised", default=None)


def answer_with_class(worker_script: str) -> str:
    """Return the worker script, changed to report the exception without ending the worker."""
    if worker_script.count(_ANSWER) != 1:
        raise patching.UnexpectedMiniStackError("the worker script reports exceptions differently")
    return worker_script.replace(_ANSWER, _ANSWER_WITH_CLASS)


def install() -> None:
    """Keep workers after an exception and report its class as `errorType`."""
    runtime = patching.module("core.lambda_runtime")
    lambda_service = patching.module("services.lambda_svc")

    def invoke(original: Callable[..., Any]) -> Callable[..., Any]:
        def note_what_was_raised(worker: Any, *args: Any, **kwargs: Any) -> Any:
            answer = original(worker, *args, **kwargs)
            raised = answer.pop("raised", None)
            if raised:
                answer.update(status="error", error=raised["message"], trace=raised["trace"])
                _raised.set(raised["type"])
            return answer

        return note_what_was_raised

    def execute(original: Callable[..., Any]) -> Callable[..., Any]:
        def name_the_class(func: Any, event: Any, request_id: str) -> Any:
            _raised.set(None)
            result = original(func, event, request_id)
            class_name = _raised.get()
            if class_name:
                result["body"]["errorType"] = class_name
            elif result.get("error") and result["body"].get("errorMessage") == _WORKER_DIED:
                result["body"]["errorType"] = "Runtime.ExitError"
            return result

        return name_the_class

    patching.replace(runtime.Worker, "invoke", _INVOKE_LOOKS, invoke)
    patching.replace(lambda_service, "_execute_function_warm", _EXECUTE_LOOKS, execute)
