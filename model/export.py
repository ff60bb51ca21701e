"""Exports a trained PyTorch network as the ONNX graph that the endpoint runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from imaging.spec import ImageSpec

OPSET = 20


class ServedModel(nn.Module):
    """A network with normalisation before it and softmax after it.

    Args:
        network: normalised float32 [n, 3, size, size] to logits [n, classes].
        image_spec: mean and std are taken from here, so that the graph and the card agree.
        classes: the classes that have labels, in the labels' order; None for all of them. When
            some are left out, the graph has the output `known`, the labelled classes' share.
    """

    mean: Tensor
    std: Tensor
    classes: Tensor | None

    def __init__(
        self, network: nn.Module, image_spec: ImageSpec, classes: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(image_spec.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(image_spec.std).reshape(1, 3, 1, 1))
        self.register_buffer("classes", None if classes is None else torch.tensor(classes))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps uint8 [n, size, size, 3] to `probabilities` [n, labels] and maybe `known` [n].

        Both are float32, 0..1. `probabilities` is the softmax over the labelled classes alone,
        `known` (only with classes) their share of the softmax over all classes.
        """
        logits = self.network(normalise(images, self.mean, self.std))
        if self.classes is None:
            return (logits.softmax(dim=1),)
        known = logits.softmax(dim=1).index_select(1, self.classes).sum(dim=1)
        return logits.index_select(1, self.classes).softmax(dim=1), known


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Maps uint8 [n, size, size, 3] to float32 [n, 3, size, size], in training and when served.

    Args:
        mean: float32 [1, 3, 1, 1], in levels 0..255; so is `std`.
    """
    return (images.permute(0, 3, 1, 2).float() - mean) / std


def export_onnx(model: ServedModel, image_spec: ImageSpec, destination: Path) -> None:
    """Writes an fp32 ONNX file; the first dimension of `images` is free.

    Raises:
        OSError: it cannot be written.
    """
    # Two images, because torch.export treats a dimension of one as constant.
    example = torch.zeros((2, image_spec.size, image_spec.size, 3), dtype=torch.uint8)
    program = torch.onnx.export(
        model.eval(),
        (example,),
        input_names=["images"],
        output_names=["probabilities"] if model.classes is None else ["probabilities", "known"],
        dynamic_shapes={"images": {0: torch.export.Dim("n")}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    graph = program.model_proto
    _drop_metadata(graph)
    onnx.checker.check_model(graph, full_check=True)
    destination.write_bytes(graph.SerializeToString(deterministic=True))


def _drop_metadata(graph: onnx.ModelProto) -> None:
    """Drops the exporter's metadata: stack traces and paths of its machine."""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    for part in [*graph.graph.node, *graph.graph.initializer, *graph.graph.value_info]:
        del part.metadata_props[:]
        part.doc_string = ""
    for value in [*graph.graph.input, *graph.graph.output]:
        del value.metadata_props[:]
