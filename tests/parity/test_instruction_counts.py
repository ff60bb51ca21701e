"""A commit that makes an image more expensive is detected, even on a busy machine."""

from __future__ import annotations

import shutil

import pytest

from bench.instructions import instructions

# Instructions for one image as multiples of the reference kernel's, counted on 2026-11-29 with
# Python 3.11 by `python -m bench.instructions`. A change of our code or of a library that needs a
# quarter more must say so here.
COUNTED = {"prepare": 60.9, "look": 0.499, "parse": 0.051, "answer": 0.082, "write": 1.84}
ALLOWED = 1.25


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_no_path_of_an_image_needs_a_quarter_more_instructions() -> None:
    counts = instructions()
    ratios = {name: counts[name] / counts["reference"] for name in COUNTED}
    slower = {name: each for name, each in ratios.items() if each > ALLOWED * COUNTED[name]}
    assert slower == {}, f"as multiples of the reference kernel: {ratios}"
    # Much less means that a path no longer does its work, or that COUNTED is out of date.
    faster = {name: each for name, each in ratios.items() if each < COUNTED[name] / 2}
    assert faster == {}, f"as multiples of the reference kernel: {ratios}"
