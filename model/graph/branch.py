"""Adds a tensor of another ONNX graph to a graph, and shares the computations that both have."""

from __future__ import annotations

import hashlib

import onnx

PREFIX = "beside_"


def add_branch(graph: onnx.GraphProto, other: onnx.GraphProto, tensor: str) -> str:
    """Adds to `graph` the nodes and constants that make `tensor` in `other`.

    Both have the same inputs. A constant with the same values is not stored twice; a node of the
    same kind, with the same attributes and inputs, does not run twice. So of two networks whose
    first layers are the same only the others are added.

    Returns the tensor's name in `graph`.
    """
    shared: dict[bytes, str] = {
        _key_of_constant(part): part.name for part in reversed(graph.initializer)
    }
    same = {part.name: shared[_key_of_constant(part)] for part in graph.initializer}
    made: dict[bytes, onnx.NodeProto] = {}
    for node in graph.node:
        made.setdefault(_key_of_node(node, same), node)

    names: dict[str, str] = {each.name: each.name for each in other.input}
    nodes = _nodes_below(other, tensor)
    used = {name for node in nodes for name in node.input}
    for constant in other.initializer:
        if constant.name in used:
            names[constant.name] = _constant(graph, constant, shared)
    for node in nodes:
        key = _key_of_node(node, names)
        if key not in made:
            made[key] = _added(graph, node, names)
        names.update(zip(node.output, made[key].output, strict=True))
    return names[tensor]


def _nodes_below(graph: onnx.GraphProto, tensor: str) -> list[onnx.NodeProto]:
    """The nodes that a tensor depends on, in the order of the graph."""
    needed, found = {tensor}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            found.append(node)
    return found[::-1]


def _constant(graph: onnx.GraphProto, constant: onnx.TensorProto, shared: dict[bytes, str]) -> str:
    key = _key_of_constant(constant)
    if key not in shared:
        shared[key] = f"{PREFIX}{constant.name}"
        graph.initializer.add().CopyFrom(constant)
        graph.initializer[-1].name = shared[key]
    return shared[key]


def _added(graph: onnx.GraphProto, node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    added: onnx.NodeProto = graph.node.add()
    added.CopyFrom(node)
    added.name = f"{PREFIX}{node.name}"
    added.input[:] = [names.get(name, name) for name in node.input]
    # An output that a node leaves out has no name.
    added.output[:] = [name and f"{PREFIX}{name}" for name in node.output]
    return added


def _key_of_constant(constant: onnx.TensorProto) -> bytes:
    nameless = onnx.TensorProto()
    nameless.CopyFrom(constant)
    nameless.ClearField("name")
    return hashlib.sha256(nameless.SerializeToString(deterministic=True)).digest()


def _key_of_node(node: onnx.NodeProto, names: dict[str, str]) -> bytes:
    """Identifies a node's operation on these inputs, without the names of its outputs."""
    nameless = onnx.NodeProto(domain=node.domain, op_type=node.op_type)
    nameless.input.extend(names.get(name, name) for name in node.input)
    nameless.attribute.extend(sorted(node.attribute, key=lambda each: each.name))
    return bytes(nameless.SerializeToString(deterministic=True))
