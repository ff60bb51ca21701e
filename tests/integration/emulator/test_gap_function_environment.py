"""Contract: functions see the packages that AWS's runtime has, not the emulator's."""

from __future__ import annotations

import json

from tests.integration.emulator.emulator_harness import Emulator, outputs, python_function

_TRY_IMPORTS = """
import importlib

def handler(event, context):
    found = {}
    for name in event["names"]:
        try:
            importlib.import_module(name)
        except ImportError:
            found[name] = False
        else:
            found[name] = True
    return found
"""


def test_requirement_that_only_the_emulator_has_is_missing(emulator: Emulator) -> None:
    template = {
        "Resources": {"Function": python_function(_TRY_IMPORTS)},
        "Outputs": outputs(Function={"Ref": "Function"}),
    }
    function = emulator.deploy("environment", template)["Function"]

    names = ["boto3", "yaml", "cryptography", "ministack", "imagedrop"]
    answer = emulator.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps({"names": names}).encode()
    )

    assert json.loads(answer["Payload"].read()) == {
        "boto3": True,
        "yaml": False,
        "cryptography": False,
        "ministack": False,
        "imagedrop": False,
    }
