"""The features of an archive's network: what its pooling gives to the linear layer; without torch.

A graph of ONNX gives its outputs alone. Another output is added to the bytes of the file: a message
of Protocol Buffers may follow another of the same type, and its repeated fields are then appended
(https://protobuf.dev/programming-guides/encoding/#last-one-wins). The field numbers are those of
onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.serving.onnx_runtime import onnxruntime

POOLINGS = frozenset({b"GlobalAveragePool", b"ReduceMean"})
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_OUTPUT, _NODE_OUTPUT, _NODE_TYPE, _NAME = 7, 1, 12, 2, 4, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class OnnxFeatures:
    """Computes features on all cores.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no graph with a pooling.
    """

    def __init__(self, weights: Path) -> None:
        content = weights.read_bytes()
        self._output = pooled_output(content).decode()
        options = onnxruntime.SessionOptions()
        # Threads that wait in a loop would slow down those that decode photos.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            with_output(content, self._output.encode()), options, ["CPUExecutionProvider"]
        )

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Computes float32 [n, d] of uint8 [n, size, size, 3]."""
        (pooled,) = self._session.run([self._output], {"images": images})
        features: npt.NDArray[np.float32] = pooled.reshape(len(images), -1)
        return features


def pooled_output(content: bytes) -> bytes:
    """The name of the last pooling's output.

    Raises:
        ValueError: the bytes are no graph of ONNX, or it has no pooling.
    """
    name = b""
    for graph in _values(content, _MODEL_GRAPH):
        for node in _values(graph, _GRAPH_NODE):
            if set(_values(node, _NODE_TYPE)) & POOLINGS:
                name = next(iter(_values(node, _NODE_OUTPUT)), name)
    if not name:
        raise ValueError("the graph has no pooling whose output could be features")
    return name


def with_output(content: bytes, name: bytes) -> bytes:
    """The graph with one output more."""
    return content + _field(_MODEL_GRAPH, _field(_GRAPH_OUTPUT, _field(_NAME, name)))


def _values(message: bytes, wanted: int) -> Iterator[bytes]:
    """The values of a field of bytes, in order; ValueError where the message is cut off."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is none of ONNX")
        if length > len(message) - place:
            raise ValueError("the graph is cut off")
        if key >> 3 == wanted and kind == _BYTES:
            yield message[place : place + length]
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
