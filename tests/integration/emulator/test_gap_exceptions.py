"""Contract: a handler's exception has its class name and does not end the environment."""

from __future__ import annotations

import json

from tests.integration.emulator.emulator_harness import Emulator, outputs, python_function

_RAISE_OR_ANSWER = """
import os

class BadPictureError(Exception):
    pass

def handler(event, context):
    if event.get("raise"):
        raise BadPictureError("too blue")
    return os.getpid()
"""


def test_exception_keeps_its_class_name_and_the_warm_worker(emulator: Emulator) -> None:
    template = {
        "Resources": {"Function": python_function(_RAISE_OR_ANSWER)},
        "Outputs": outputs(Function={"Ref": "Function"}),
    }
    function = emulator.deploy("exceptions", template)["Function"]

    def invoke(event: dict[str, bool]) -> object:
        answer = emulator.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(event).encode()
        )
        return json.loads(answer["Payload"].read())

    before = invoke({})
    error = invoke({"raise": True})
    after = invoke({})

    assert isinstance(error, dict)
    assert error["errorType"] == "BadPictureError"
    assert error["errorMessage"] == "too blue"
    assert after == before


def test_killed_function_is_no_exception_of_its_handler(emulator: Emulator) -> None:
    code = "import os, signal\ndef handler(event, context): os.kill(os.getpid(), signal.SIGKILL)"
    template = {
        "Resources": {"Function": python_function(code)},
        "Outputs": outputs(Function={"Ref": "Function"}),
    }
    function = emulator.deploy("killed", template)["Function"]

    answer = emulator.client("lambda").invoke(FunctionName=function, Payload=b"{}")

    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ExitError"
