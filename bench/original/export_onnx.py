"""Writes the trained network for ONNX Runtime, with a batch of any size."""

import argparse
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file

from resnet import ResNet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()

    network = ResNet()
    network.load_state_dict(load_file(options.weights))
    image = torch.zeros(1, 3, 32, 32)
    # The newer exporter writes the same network, but needs another package.
    warnings.simplefilter("ignore")
    torch.onnx.export(
        network.eval(),
        (image,),
        options.output,
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )


if __name__ == "__main__":
    main()
