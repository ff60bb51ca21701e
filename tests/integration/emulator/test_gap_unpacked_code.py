"""Contract: environments of a function share its files, so that only the first compiles them."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.emulator.emulator_harness import Emulator, outputs, python_function

_TELL_FILES = """
import os

def handler(event, context):
    files = [os.stat(path).st_ino for path in (__file__, __cached__)]
    return {"process": os.getpid(), "files": files}
"""


def test_second_environment_of_a_function_has_the_files_of_the_first(emulator: Emulator) -> None:
    template = {
        "Resources": {"Function": python_function(_TELL_FILES)},
        "Outputs": outputs(Function={"Ref": "Function"}),
    }
    name = emulator.deploy("unpacked", template)["Function"]
    functions = emulator.client("lambda")

    def told() -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(functions.invoke(FunctionName=name)["Payload"].read())
        return answer

    first = told()
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"ANOTHER": "environment"}}
    )
    second = told()

    assert second["process"] != first["process"]
    assert second["files"] == first["files"]
