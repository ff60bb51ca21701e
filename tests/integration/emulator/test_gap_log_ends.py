"""Contract: an invocation has its own whole log, and does not wait for a line that never comes."""

from __future__ import annotations

import base64
import json
import time

import pytest

from tests.integration.emulator.emulator_harness import Emulator, outputs, python_function

_WRITE = """
import os, sys

def handler(event, context):
    sys.stderr.write(event["text"])
    sys.stderr.flush()
    if event.get("end"):
        os._exit(1)
"""
# MiniStack waits so long for the first line of a log.
_ITS_WAIT_SECONDS = 0.05


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    template = {
        "Resources": {"Function": python_function(_WRITE)},
        "Outputs": outputs(Function={"Ref": "Function"}),
    }
    return emulator.deploy("logs", template)["Function"]


def log_of(emulator: Emulator, function: str, **event: object) -> str:
    """The lines that the function itself wrote in a call."""
    answer = emulator.client("lambda").invoke(
        FunctionName=function, LogType="Tail", Payload=json.dumps(event).encode()
    )
    lines = base64.b64decode(answer.get("LogResult", "")).decode().splitlines()
    platform = ("START ", "END ", "REPORT ", "INIT_START ")
    return "\n".join(line for line in lines if not line.startswith(platform))


@pytest.mark.parametrize("text", ["", "one\n", "one\ntwo\n", "no line end", "one\n\nthree"])
def test_the_log_of_a_call_is_what_it_wrote(emulator: Emulator, function: str, text: str) -> None:
    assert log_of(emulator, function, text=text) == "\n".join(text.splitlines())
    assert log_of(emulator, function, text="") == ""


def test_a_killed_function_has_its_log_too(emulator: Emulator, function: str) -> None:
    log = log_of(emulator, function, text="last words\n", end=True)
    assert log.splitlines()[0] == "last words"


def test_a_function_that_writes_nothing_is_not_waited_for(
    emulator: Emulator, function: str
) -> None:
    functions = emulator.client("lambda")

    def seconds() -> float:
        began = time.perf_counter()
        functions.invoke(FunctionName=function, Payload=b'{"text": ""}')
        return time.perf_counter() - began

    assert min(seconds() for _ in range(20)) < _ITS_WAIT_SECONDS
