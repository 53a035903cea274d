"""The trained network as ONNX: normalisation folded into the convolutions, weights in half precision."""

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from conversion.onnx_writer import OnnxWriter
from mien.engine.occlusion import CROP
from occlusion.network import INPUTS, OUTPUTS, Unet

Weights: TypeAlias = NDArray[Any]


def to_onnx(network: Unet) -> bytes:
    """Input `crops`, float32[N, 4, CROP, CROP]; output `layers`, float32[N, 3, CROP, CROP], probabilities."""
    graph = OnnxWriter()
    x = graph.add("Relu", _enter(graph, "crops", network.enter[1], network.enter[2]))
    kept = []
    for level, down in enumerate(network.down):
        x = graph.add("Add", x, _block(graph, x, down))
        if level < len(network.shrink):
            kept.append(x)
            convolution, norm, _ = network.shrink[level]
            x = graph.add("Relu", _convolution(graph, x, *folded(convolution, norm), stride=2, padding=0))
    x = graph.add("Add", x, _block(graph, x, network.deepest))
    twice = graph.constant(np.array([1, 1, 2, 2], np.float32))
    for level in reversed(range(len(network.up))):
        narrow = network.narrow[level]
        x = _convolution(graph, x, *plain(narrow), padding=0)
        x = graph.add(
            "Resize",
            x,
            "",
            twice,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        x = graph.add("Add", x, kept[level])
        x = graph.add("Add", x, _block(graph, x, network.up[level]))
    x = _convolution(graph, x, *plain(network.leave[0]))
    x = graph.add("DepthToSpace", x, blocksize=2, mode="CRD")
    x = graph.add("Sigmoid", x)
    sides = (CROP, CROP)
    return graph.serialize(
        "face_occlusion", {"crops": ("N", INPUTS, *sides)}, [("layers", x, ("N", OUTPUTS, *sides))]
    )


def plain(convolution: nn.Conv2d) -> tuple[Weights, Weights]:
    return convolution.weight.detach().float().numpy(), convolution.bias.detach().float().numpy()


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Weights, Weights]:
    """Kernel and bias of a convolution with the normalisation that follows it."""
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().float()
    kernel = convolution.weight.detach().float() * scale[:, None, None, None]
    bias = norm.bias.detach().float() - norm.running_mean.float() * scale
    return kernel.numpy(), bias.numpy()


def _enter(graph: OnnxWriter, x: str, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    """Pixels moved into channels and a 3 × 3 convolution are one 6 × 6 convolution with stride 2."""
    kernel, bias = folded(convolution, norm)
    outputs = len(kernel)
    wide = (
        kernel.reshape(outputs, INPUTS, 2, 2, 3, 3).transpose(0, 1, 4, 2, 5, 3).reshape(outputs, INPUTS, 6, 6)
    )
    return _convolution(graph, x, wide, bias, stride=2, padding=2)


def _block(graph: OnnxWriter, x: str, block: nn.Sequential) -> str:
    first, first_norm, _, second, second_norm = block
    x = graph.add("Relu", _convolution(graph, x, *folded(first, first_norm)))
    return _convolution(graph, x, *folded(second, second_norm))


def _convolution(
    graph: OnnxWriter, x: str, kernel: Weights, bias: Weights, stride: int = 1, padding: int = 1
) -> str:
    return graph.add(
        "Conv", x, graph.weight(kernel), graph.constant(bias), strides=[stride] * 2, pads=[padding] * 4
    )
