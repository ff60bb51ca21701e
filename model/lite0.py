"""EfficientNet-Lite0 in PyTorch, equal to the network that was trained in TensorFlow.

The architecture: Tan and Le, "EfficientNet" (arXiv:1905.11946), table 1, with the "lite" changes of
tensorflow/tpu `models/official/efficientnet/lite`: ReLU6 instead of swish, no squeeze-and-excite,
stem and head not scaled. TensorFlow's "SAME" padding, batch normalisation with epsilon 1e-3.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE_SIZE = 224
BATCH_NORM_EPSILON = 1e-3
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
IMAGENET_CLASSES = 1000

# Repeats, kernel, stride of the first, expansion, output channels: one row a stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SamePadConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "SAME" does on even sides.

    With stride 2 that is one pixel more below and to the right than above and to the left.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        is_even = stride == 1
        padding = kernel // 2 if is_even else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        before, after = (kernel - 2) // 2, (kernel - 1) // 2
        self.uneven_padding = None if is_even else (before, after, before, after)

    def forward(self, images: Tensor) -> Tensor:
        """Maps float32 [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        if self.uneven_padding is not None:
            images = functional.pad(images, self.uneven_padding)
        outputs: Tensor = super().forward(images)
        return outputs


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.has_expansion = expansion != 1
        self.has_residual = stride == 1 and inputs == outputs
        if self.has_expansion:
            self.expand_conv = SamePadConv2d(inputs, inner, kernel=1)
            self.bn0 = nn.BatchNorm2d(inner, eps=BATCH_NORM_EPSILON)
        self.depthwise_conv = SamePadConv2d(inner, inner, kernel, stride, groups=inner)
        self.bn1 = nn.BatchNorm2d(inner, eps=BATCH_NORM_EPSILON)
        self.project_conv = SamePadConv2d(inner, outputs, kernel=1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps float32 [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        x = inputs
        if self.has_expansion:
            x = functional.relu6(self.bn0(self.expand_conv(x)))
        x = functional.relu6(self.bn1(self.depthwise_conv(x)))
        x = self.bn2(self.project_conv(x))
        outputs: Tensor = inputs + x if self.has_residual else x
        return outputs


class EfficientNetLite0(nn.Module):
    """4.7 million parameters, 1,000 ImageNet classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SamePadConv2d(3, STEM_CHANNELS, kernel=3, stride=2)
        self.bn0 = nn.BatchNorm2d(STEM_CHANNELS, eps=BATCH_NORM_EPSILON)
        self.blocks = nn.Sequential(*_blocks())
        self.conv_head = SamePadConv2d(_STAGES[-1][-1], HEAD_CHANNELS, kernel=1)
        self.bn1 = nn.BatchNorm2d(HEAD_CHANNELS, eps=BATCH_NORM_EPSILON)
        self.fc = nn.Linear(HEAD_CHANNELS, IMAGENET_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised float32 [n, 3, 224, 224] to logits [n, 1000]."""
        x = functional.relu6(self.bn0(self.conv_stem(images)))
        x = self.blocks(x)
        x = functional.relu6(self.bn1(self.conv_head(x)))
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def _blocks() -> list[InvertedResidual]:
    blocks = []
    inputs = STEM_CHANNELS
    for repeats, kernel, stride, expansion, outputs in _STAGES:
        for repeat in range(repeats):
            first = repeat == 0
            blocks.append(
                InvertedResidual(inputs, outputs, kernel, stride if first else 1, expansion)
            )
            inputs = outputs
    return blocks


def load_lite0(weights: Path, sha256: str) -> EfficientNetLite0:
    """Loads the network's weights from a PyTorch state dict; returns it in evaluation mode.

    Raises:
        OSError: there is no such file.
        ValueError: the file has another sha256; this is checked before the file is parsed.
        RuntimeError: the state dict does not fit the network.
    """
    content = weights.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{weights.name} has sha256 {found}, expected {sha256}")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    # The file's names are ours with an underscore before each attribute: `_blocks.0._bn1.weight`.
    network.load_state_dict({name.replace("._", ".").lstrip("_"): state[name] for name in state})
    return network.eval()
