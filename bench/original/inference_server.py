"""The inference server: POST an image to /predict, get its class."""

import argparse
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from flask import Flask, Response, jsonify, request
from PIL import Image, UnidentifiedImageError
from safetensors import safe_open


class Classifier:
    """ResNet-20 for CIFAR-10, computed by PyTorch or by ONNX Runtime."""

    def __init__(self, weights: Path, network: Path | None) -> None:
        self.model = {"model": weights.stem, "modelSha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
        with safe_open(weights, framework="numpy") as file:
            metadata = {name: json.loads(file.metadata()[name]) for name in ("mean", "std", "labels")}
        self.labels = metadata["labels"]
        self.mean, self.std = np.float32(metadata["mean"]), np.float32(metadata["std"])
        self.logits = onnx_runtime(network) if network else pytorch(weights)

    def classify(self, file: bytes) -> dict:
        pixels = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), dtype=np.float32) / 255
        batch = ((pixels - self.mean) / self.std).transpose(2, 0, 1)[np.newaxis]
        logits = self.logits(np.ascontiguousarray(batch))[0]
        exponentials = np.exp(logits - logits.max())
        best = int(logits.argmax())
        confidence = float(exponentials[best] / exponentials.sum())
        return {"label": self.labels[best], "index": best, "confidence": confidence, **self.model}


def pytorch(weights: Path):
    """A function from images (N, 3, 32, 32) to logits (N, 10). OMP_NUM_THREADS says on how many threads."""
    import torch
    from safetensors.torch import load_file

    from resnet import ResNet

    network = ResNet()
    network.load_state_dict(load_file(weights))
    network.eval()

    def logits(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(batch)).numpy()

    return logits


def onnx_runtime(network: Path):
    """The same function, from a file that export_onnx.py has written."""
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"image": batch})[0]


def application(classifier: Classifier) -> Flask:
    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> Response:
        return jsonify(classifier.classify(request.get_data()))

    @app.errorhandler(UnidentifiedImageError)
    def no_image(error: UnidentifiedImageError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--weights", type=Path, required=True, help="resnet20.safetensors")
    parser.add_argument("--onnx", type=Path, help="the same network for ONNX Runtime; without it PyTorch computes")
    parser.add_argument("--server", choices=["flask", "waitress"], default="flask")
    options = parser.parse_args()

    app = application(Classifier(options.weights, options.onnx))
    if options.server == "waitress":
        import waitress

        waitress.serve(app, host="127.0.0.1", port=options.port)
    else:
        app.run(host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
