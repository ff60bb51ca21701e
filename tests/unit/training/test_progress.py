"""The log of a training."""

from __future__ import annotations

import logging

from training.progress import PrintableFormatter


def test_hostile_file_name_is_one_harmless_line_in_the_log() -> None:
    record = logging.makeLogRecord({"msg": "left out: %s", "args": ("a\n\x1b[31m\udce9é.jpg",)})
    assert PrintableFormatter().format(record) == "left out: a\\x0a\\x1b[31m\\xdce9é.jpg"
