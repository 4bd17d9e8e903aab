"""The networks of the works in torch, with weights exported by the other side.

Exported weights are [inputs, outputs]; torch wants [outputs, inputs]. A 3x3 convolution is exported
as a matrix whose rows run over channel, row and column of the neighbourhood.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def load_work(folder: Path) -> dict:
    """What the export says of the work."""
    return json.loads((folder / "work.json").read_text())


def load_arrays(folder: Path) -> dict[str, Tensor]:
    """Every exported weight by its name."""
    paths = sorted(folder.glob("*.npy"))
    return {path.stem: torch.from_numpy(np.load(path)) for path in paths}


def build(work: dict, weights: dict[str, Tensor]) -> nn.Module:
    """The work's network: rows [n, d] to logits [n, classes]."""
    kind = work["arch"]["kind"]
    if kind == "mlp":
        return mlp(weights)
    if kind == "lenet":
        image = work["shape"]["image"]
        return lenet((image["c"], image["h"], image["w"]), weights)
    raise ValueError(f"no torch network for `{kind}`")


def mlp(weights: dict[str, Tensor]) -> nn.Module:
    """Fully connected layers with ReLU between them."""
    hidden = len(weights) // 2 - 1
    names = [f"hidden{i + 1}" for i in range(hidden)] + ["output"]
    layers: list[nn.Module] = []
    for name in names:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        layers += [linear(weight.T, bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet(image: tuple[int, int, int], weights: dict[str, Tensor]) -> nn.Module:
    """Two convolutions with pooling, a hidden layer, the output; rows become images first.

    Channels last in memory: torch trains it some 1.4 times as fast as in its usual order.
    """
    layers: list[nn.Module] = [nn.Unflatten(1, image)]
    channels = image[0]
    for name in ("conv1", "conv2"):
        weight = weights[f"{name}.weight"]
        filters = weight.shape[1]
        kernel = weight.T.reshape(filters, channels, 3, 3)
        layers += [conv(kernel, weights[f"{name}.bias"]), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    layers += [nn.Flatten(), linear(weights["hidden1.weight"].T, weights["hidden1.bias"]), nn.ReLU()]
    layers += [linear(weights["output.weight"].T, weights["output.bias"])]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer of these values, weight [outputs, inputs]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return fill(layer, weight, bias)


def conv(kernel: Tensor, bias: Tensor) -> nn.Conv2d:
    """A 3x3 convolution of these values, zero-padded by 1; kernel [outputs, inputs, 3, 3]."""
    return fill(nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1), kernel, bias)


def fill(layer, weight: Tensor, bias: Tensor | None):
    """The layer with its own copies of the values."""
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
