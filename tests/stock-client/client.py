"""Asks the classifier's server all that Triton's HTTP client can ask. Usage: client.py TAILRACE_WORKER"""

import re
import subprocess
import sys
from pathlib import Path

import numpy
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

MODELS = Path(__file__).parents[2] / "models"
NAME = "resnet20"
SAMPLE = {"0000-cat": ("cat", 3), "0001-ship": ("ship", 8), "0003-airplane": ("airplane", 0)}


def start(worker):
    """The server on a port of its own choice, and its address."""
    command = [worker, "inference-server", f"--model={MODELS / NAME}.safetensors", "--http-address=127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if found := re.search(r"HTTP on (\S+)", line):
            return server, found[1]
    sys.exit(f"the server ended with {server.wait()}")


def images(binary):
    batch = numpy.stack([numpy.asarray(Image.open(MODELS / "sample" / f"{name}.png")) for name in SAMPLE])
    tensor = triton.InferInput("image", list(batch.shape), "UINT8")
    tensor.set_data_from_numpy(batch, binary_data=binary)
    return tensor


def files():
    batch = numpy.array([(MODELS / "sample" / f"{name}.png").read_bytes() for name in SAMPLE], dtype=object)
    tensor = triton.InferInput("file", [len(batch)], "BYTES")
    tensor.set_data_from_numpy(batch)
    return tensor


def check(result):
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label")]
    assert labels == [label for label, _ in SAMPLE.values()], labels
    assert result.as_numpy("index").tolist() == [index for _, index in SAMPLE.values()]
    probabilities = result.as_numpy("probabilities")
    assert probabilities.shape == (3, 10) and probabilities.dtype == numpy.float32
    assert numpy.allclose(probabilities.sum(axis=1), 1, atol=1e-5), probabilities


def infer(client, tensor, binary_outputs):
    names = ["label", "index", "probabilities"]
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_outputs) for name in names]
    return client.infer(NAME, [tensor], outputs=outputs, request_id="7")


def talk(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(NAME) and client.is_model_ready(NAME, "1") and not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(NAME)
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["image", "file"], metadata
    print("health and metadata:", client.get_server_metadata())

    for binary_inputs in (True, False):
        for binary_outputs in (True, False):
            result = infer(client, images(binary_inputs), binary_outputs)
            check(result)
            assert result.get_response()["id"] == "7"
            print(f"batch of 3, binary inputs {binary_inputs}, binary outputs {binary_outputs}: ok")
    check(client.infer(NAME, [images(True)], model_version="1"))
    check(infer(client, files(), True))
    print("all outputs by default, files:", client.infer(NAME, [files()]).as_numpy("label").tolist())
    check(client.async_infer(NAME, [images(True)]).get_result())

    for algorithm in ("gzip", "deflate"):
        check(client.infer(NAME, [images(True)], request_compression_algorithm=algorithm))
    classes = client.infer(
        NAME, [images(True)], outputs=[triton.InferRequestedOutput("probabilities", class_count=2)]
    ).as_numpy("probabilities")
    assert classes.shape == (3, 2) and classes[1][0].decode().endswith(":8:ship"), classes
    assert client.get_model_config(NAME)["name"] == NAME
    assert client.get_model_repository_index()[0]["state"] == "READY"
    assert client.get_system_shared_memory_status() == [] and client.get_cuda_shared_memory_status() == []
    client.unregister_system_shared_memory()
    statistics = client.get_inference_statistics(NAME)["model_stats"][0]
    assert statistics["inference_count"] >= 24, statistics
    print("configuration, index and statistics:", statistics["inference_stats"]["compute_infer"])

    try:
        client.infer(NAME, [triton.InferInput("image", [1, 1], "UINT8").set_data_from_numpy(numpy.zeros((1, 1), "u1"))])
        sys.exit("a wrong shape was taken")
    except InferenceServerException as refused:
        print("a wrong shape:", refused)


def main():
    server, address = start(sys.argv[1])
    try:
        client = triton.InferenceServerClient(address)
        talk(client)
        client.close()
    finally:
        server.terminate()
    assert server.wait(15) == 0, server.returncode
    print("passed")


main()
