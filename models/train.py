"""Trains a CIFAR ResNet on CIFAR-10; goes on from its last checkpoint."""

import argparse
import copy
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import cifar10
from augment import Augmenter, normalise
from recipe import Recipe
from resnet import ResNet

EPOCHS_BETWEEN_TESTS = 10


def parameter_groups(network: torch.nn.Module, weight_decay: float) -> list[dict]:
    """Batch norm and biases are not decayed."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim == 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def twin(network: torch.nn.Module) -> torch.nn.Module:
    """A network with the same weights in memory, and batch-norm statistics and gradients of its own."""
    other = copy.deepcopy(network)
    for own, shared in zip(other.parameters(), network.parameters()):
        own.data = shared.data
    return other


class Training:
    """What a checkpoint holds: network, optimiser, the number of finished epochs and the seconds each took."""

    def __init__(self, recipe: Recipe, checkpoint: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.checkpoint = checkpoint
        self.network = ResNet(recipe.layers).to(memory_format=torch.channels_last)
        self.twins = [self.network, *(twin(self.network) for _ in range(recipe.parts - 1))]
        groups = parameter_groups(self.network, recipe.weight_decay)
        self.optimiser = torch.optim.SGD(groups, lr=0.1, momentum=recipe.momentum, nesterov=True)
        self.epoch = 0
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []
        # Half the time where the processor multiplies bfloat16 itself; emulated it would be slower.
        self.bfloat16 = torch.cpu._is_avx512_bf16_supported()

    def resume(self) -> None:
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            if state["recipe"] != asdict(self.recipe):
                raise SystemExit(f"{self.checkpoint} is of another recipe: delete it or name another with --checkpoint")
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.epoch = state["epoch"]
            self.seconds = state["seconds"]
            self.processor_seconds = state["processor_seconds"]

    def save(self) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
            "recipe": asdict(self.recipe),
        }
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def gradients(self, network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple:
        """Mean loss of these images, and the gradient of each parameter."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), labels)
        return loss.item(), torch.autograd.grad(loss, list(network.parameters()))

    def step(self, parts: list[tuple], progress: float) -> float:
        """One step with the mean of the gradients of the parts; mean loss."""
        losses, gradients = zip(*parts)
        for parameter, *of_parts in zip(self.network.parameters(), *gradients):
            parameter.grad = sum(of_parts) / len(of_parts)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(progress)
        self.optimiser.step()
        return float(np.mean(losses))

    def run_epoch(self, augmenter: Augmenter, labels: np.ndarray, pool: ThreadPoolExecutor) -> float:
        """Mean loss. Random numbers follow from seed and epoch alone: a resumed run is the same run."""
        seed = [self.recipe.seed, self.epoch]
        batches = len(labels) // self.recipe.batch
        order = np.random.default_rng(seed).permutation(len(labels))[: batches * self.recipe.batch]

        def part(network: torch.nn.Module, indices: np.ndarray) -> tuple:
            random = np.random.default_rng([*seed, indices[0]])
            images = normalise(augmenter.batch(indices, self.epoch, random))
            return self.gradients(network, images, torch.from_numpy(labels[indices]))

        losses = []
        for number, batch in enumerate(order.reshape(batches, self.recipe.parts, -1)):
            parts = list(pool.map(part, self.twins, batch))
            losses.append(self.step(parts, (self.epoch + number / batches) / self.recipe.epochs))
        return float(np.mean(losses))

    def run(self, augmenter: Augmenter, labels: np.ndarray, pool: ThreadPoolExecutor) -> dict:
        """One epoch, saved; what there is to say about it."""
        start, processor_start = time.monotonic(), time.process_time()
        for network in self.twins:
            network.train()
        loss = self.run_epoch(augmenter, labels, pool)
        self.epoch += 1
        self.seconds.append(round(time.monotonic() - start, 1))
        self.processor_seconds.append(round(time.process_time() - processor_start, 1))
        self.save()
        times = {"seconds": self.seconds[-1], "processor_seconds": self.processor_seconds[-1]}
        return {"epoch": self.epoch, "loss": round(loss, 4), **times}


@torch.inference_mode()
def predict(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """The class of each image."""
    network.eval()
    return np.concatenate([network(normalise(images[i : i + 250])).argmax(1) for i in range(0, len(images), 250)])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=Recipe.parts, help="1 or 2: the weights are the same")
    parser.add_argument("--checkpoint", type=Path, default=cifar10.cache() / "training" / "resnet20.pt")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)  # for each of the pool's threads: they wait for each other once a batch, not once a layer
    training = Training(Recipe(epochs=options.epochs, seed=options.seed), options.checkpoint)
    training.resume()
    images, labels = cifar10.load_train()
    test_images, test_labels = cifar10.load_test()
    augmenter = Augmenter(images, training.recipe)
    with ThreadPoolExecutor(options.threads) as pool:
        while training.epoch < training.recipe.epochs:
            line = training.run(augmenter, labels, pool)
            if training.epoch % EPOCHS_BETWEEN_TESTS == 0:
                line["accuracy"] = float((predict(training.network, test_images) == test_labels).mean())
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
