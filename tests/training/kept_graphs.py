"""Exports each architecture once a run: later trainings get its graph with their own weights.

Of a training of seconds, the exporter takes nine tenths. What it makes depends on the layers alone,
and `export_model` compares the graph with torch after each training here as everywhere.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import onnx
import torch

from imaging import ImageSpec
from model.export import ServedModel, export_onnx

Weights = dict[str, torch.Tensor]


class KeptGraphs:
    """`export_onnx` that remembers.

    Attributes:
        folder: where the processes of a run find each other's graphs; None for a process alone.
    """

    folder: Path | None = None

    def __init__(self) -> None:
        self._kept: dict[str, tuple[onnx.ModelProto, Weights]] = {}

    def export(self, model: ServedModel, image_spec: ImageSpec, destination: Path) -> None:
        """Write what `export_onnx` would."""
        weights = {name: each.detach().clone() for name, each in model.state_dict().items()}
        shapes = [(name, tuple(each.shape)) for name, each in weights.items()]
        key = f"{model}{image_spec}{shapes}"
        graph = self._with(weights, key)
        if graph is not None:
            destination.write_bytes(graph.SerializeToString(deterministic=True))
            return
        export_onnx(model, image_spec, destination)
        self._kept[key] = (onnx.load(str(destination)), weights)
        if self.folder is not None:
            whole = self._file(self.folder, key)
            part = whole.with_suffix(f".{os.getpid()}")
            torch.save((destination.read_bytes(), weights), part)
            part.replace(whole)

    @staticmethod
    def _file(folder: Path, key: str) -> Path:
        return folder / f"{hashlib.sha256(key.encode()).hexdigest()}.graph"

    def _find(self, key: str) -> tuple[onnx.ModelProto, Weights] | None:
        """The kept graph and its weights, by this process or another one."""
        if key not in self._kept and self.folder is not None:
            file = self._file(self.folder, key)
            if file.exists():
                content, weights = torch.load(file, weights_only=True)
                self._kept[key] = (onnx.load_from_string(content), weights)
        return self._kept.get(key)

    def _with(self, weights: Weights, key: str) -> onnx.ModelProto | None:
        """The kept graph with these weights; None where the exporter has merged one of them."""
        kept = self._find(key)
        if kept is None:
            return None
        graph, before = kept
        changed = {name for name, each in weights.items() if not torch.equal(each, before[name])}
        found = {each.name: each for each in graph.graph.initializer}
        if not changed <= found.keys():
            return None
        for name in changed:
            if list(found[name].dims) != list(weights[name].shape):
                return None
            found[name].raw_data = weights[name].cpu().numpy().tobytes()
            before[name] = weights[name]
        return graph
