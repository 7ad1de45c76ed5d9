"""The networks as ONNX, node by node as PyTorch's exporter writes them: batch norms are left to ONNX Runtime to fold."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open
from safetensors.numpy import save_file

EPSILON = 1e-5


class Graph:
    """Nodes and weights of a network, in the order in which they are computed."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def node(self, kind: str, *inputs: str, **attributes) -> str:
        output = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, name: str, values: np.ndarray | None = None) -> str:
        self.weights[name] = self.tensors[name] if values is None else values
        return name

    def convolution(self, x: str, name: str, norm: str, stride: int) -> str:
        kernel = self.weight(f"{name}.weight")
        padding = self.tensors[kernel].shape[2] // 2
        y = self.node("Conv", x, kernel, strides=[stride] * 2, pads=[padding] * 4)
        parts = [self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", y, *parts, epsilon=EPSILON)

    def every_second_pixel(self, x: str, zeros: int) -> str:
        ends = {"start": [0, 0], "end": [2**31] * 2, "axes": [2, 3], "step": [2, 2], "zeros": [0, zeros, 0, 0] * 2}
        starts, stops, axes, steps, pads = (self.weight(f"{x}.{key}", np.array(v)) for key, v in ends.items())
        return self.node("Pad", self.node("Slice", x, starts, stops, axes, steps), pads)

    def shortcut(self, x: str, name: str, stride: int) -> str:
        if f"{name}.shortcut.0.weight" in self.tensors:
            return self.convolution(x, f"{name}.shortcut.0", f"{name}.shortcut.1", stride)
        if stride == 1:
            return x
        channels, channels_in = self.tensors[f"{name}.conv1.weight"].shape[:2]
        return self.every_second_pixel(x, (channels - channels_in) // 2)

    def block(self, x: str, name: str, stride: int) -> str:
        y = self.node("Relu", self.convolution(x, f"{name}.conv1", f"{name}.bn1", stride))
        y = self.convolution(y, f"{name}.conv2", f"{name}.bn2", 1)
        return self.node("Relu", self.node("Add", y, self.shortcut(x, name, stride)))

    def network(self) -> str:
        x = self.node("Relu", self.convolution("images", "conv1", "bn1", 1))
        blocks = {name.rsplit(".", 2)[0] for name in self.tensors if name.endswith(".conv1.weight")}
        for name in sorted(blocks, key=lambda name: [int(part) for part in name.removeprefix("layer").split(".")]):
            x = self.block(x, name, 2 if name.endswith(".0") and name != "layer1.0" else 1)
        x = self.node("Flatten", self.node("GlobalAveragePool", x))
        return self.node("Gemm", x, self.weight("linear.weight"), self.weight("linear.bias"), transB=1)


def to_onnx(model: Path, output: Path) -> None:
    """Writes a safetensors file as ONNX: images (N, 3, 32, 32) to logits (N, classes)."""
    with safe_open(model, "numpy") as file:
        graph = Graph({name: file.get_tensor(name) for name in file.keys()})
    logits = graph.network()
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 32, 32])
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(graph.tensors["linear.bias"])])
    weights = [numpy_helper.from_array(values, name) for name, values in graph.weights.items()]
    network = helper.make_graph(graph.nodes, model.stem, [images], [answer], weights)
    onnx.save(helper.make_model(network, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), output)


def random_resnet18(output: Path) -> None:
    """ResNet-18 in its form for CIFAR, with weights from a fixed seed: it knows nothing, and takes as long."""
    generator = np.random.default_rng(18)
    tensors: dict[str, np.ndarray] = {}

    def convolution(name: str, norm: str, channels_in: int, channels: int, size: int) -> None:
        scale = np.sqrt(2 / (channels_in * size**2))
        kernel = generator.standard_normal((channels, channels_in, size, size)) * scale
        tensors[f"{name}.weight"] = kernel.astype(np.float32)
        for part, value in {"weight": 0.7, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            tensors[f"{norm}.{part}"] = np.full(channels, value, np.float32)

    convolution("conv1", "bn1", 3, 64, 3)
    channels_in = 64
    for stage, channels in enumerate((64, 128, 256, 512), 1):
        for number in range(2):
            name = f"layer{stage}.{number}"
            convolution(f"{name}.conv1", f"{name}.bn1", channels_in, channels, 3)
            convolution(f"{name}.conv2", f"{name}.bn2", channels, channels, 3)
            if channels_in != channels:
                convolution(f"{name}.shortcut.0", f"{name}.shortcut.1", channels_in, channels, 1)
            channels_in = channels
    tensors["linear.weight"] = (generator.standard_normal((10, 512)) * 0.05).astype(np.float32)
    tensors["linear.bias"] = np.zeros(10, np.float32)
    labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    metadata = {"labels": json.dumps(labels), "mean": "[0.5, 0.5, 0.5]", "std": "[0.25, 0.25, 0.25]"}
    save_file(tensors, output, metadata | {"format": "pt"})
