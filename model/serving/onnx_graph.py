"""Reads an ONNX graph's structure and adds outputs to it, without the package onnx.

ONNX Runtime returns only a graph's outputs. Another output is added to the bytes of the file: a
message
of Protocol Buffers may follow another of the same type, and its repeated fields are then appended
(https://protobuf.dev/programming-guides/encoding/#last-one-wins). The field numbers are those of
onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_OUTPUT, _NAME = 7, 1, 12, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_INT = 3
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its operation, the names of its input and output tensors, its numbers."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, int]


def nodes_of(content: bytes) -> list[Node]:
    """Returns the nodes of a file's graph, in order.

    Raises:
        ValueError: the bytes are no graph of ONNX.
    """
    return [
        Node(
            kind="".join(_texts(node, _NODE_TYPE)),
            inputs=tuple(_texts(node, _NODE_INPUT)),
            outputs=tuple(_texts(node, _NODE_OUTPUT)),
            integers=dict(_integers(node)),
        )
        for graph in _values(content, _MODEL_GRAPH)
        for node in _values(graph, _GRAPH_NODE)
    ]


def with_outputs(content: bytes, *names: str) -> bytes:
    """Returns the file with further tensors of the graph as its outputs."""
    outputs = [_field(_GRAPH_OUTPUT, _field(_NAME, name.encode())) for name in names]
    return content + _field(_MODEL_GRAPH, b"".join(outputs))


def _texts(message: bytes, wanted: int) -> Iterator[str]:
    return (value.decode() for value in _values(message, wanted))


def _integers(node: bytes) -> Iterator[tuple[str, int]]:
    """Yields the attributes of a node that are single whole numbers."""
    for attribute in _values(node, _NODE_ATTRIBUTE):
        for number, value in _fields(attribute):
            if number == _ATTRIBUTE_INT and isinstance(value, int):
                yield "".join(_texts(attribute, _NAME)), value


def _values(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yields the values of a field of bytes, in order; ValueError where the message is cut off."""
    for number, value in _fields(message):
        if number == wanted and isinstance(value, bytes):
            yield value


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yields number and value of each field; fixed-width values as bytes are left out."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            whole, place = _varint(message, place)
            yield key >> 3, whole
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is none of ONNX")
        if length > len(message) - place:
            raise ValueError("the graph is cut off")
        if kind == _BYTES:
            yield key >> 3, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of the graph is cut off")


def _field(number: int, value: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
