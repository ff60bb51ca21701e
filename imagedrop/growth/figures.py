"""The figures of the model, each measured, documented or assumed, from one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PATH = Path(__file__).with_name("figures.json")


class Kind(StrEnum):
    MEASURED = "measured"
    DOCUMENTED = "documented"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and where it comes from: a command, a page, or why it is believed."""

    name: str
    value: float
    unit: str
    kind: Kind
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The values that the model computes with; the units are in the names."""

    prepare_cpu_milliseconds: float
    read_cpu_milliseconds: float
    webp_encode_cpu_milliseconds: float
    webp_decode_cpu_milliseconds: float
    served_images_per_second_per_vcpu: float
    put_item_cpu_milliseconds: float
    put_item_milliseconds: float
    read_milliseconds: float
    call_milliseconds: float
    event_seconds: float
    function_start_seconds: float
    serverless_start_seconds: float
    instance_start_seconds: float
    instance_least_seconds: float
    scaling_minutes: float
    first_batches: float
    batches_added_per_minute: float
    call_timeout_seconds: float
    partition_writes_per_second: float
    new_table_writes_per_second: float
    table_doubles_after_seconds: float
    prefix_gets_per_second: float
    prefix_puts_per_second: float
    transitions_per_second: float


def listed() -> list[Figure]:
    """Reads every figure, in the file's order."""
    return [
        Figure(**{**each, "kind": Kind(each["kind"])}) for each in json.loads(PATH.read_bytes())
    ]


def known() -> Figures:
    """Reads the figures' values."""
    return Figures(**{each.name.lower(): each.value for each in listed()})
