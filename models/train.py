"""Trains a CIFAR ResNet on CIFAR-10; goes on from its last checkpoint."""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import cifar10
from augment import Augmenter, normalise
from resnet import ResNet


@dataclass(frozen=True)
class Recipe:
    """All that decides the result, apart from the code."""

    layers: int = 20
    epochs: int = 20
    batch: int = 128
    peak_rate: float = 0.2
    warmup_share: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 3e-4
    seed: int = 1


def learning_rate(recipe: Recipe, progress: float) -> float:
    """One cycle: linear up to the peak, linear down to zero; `progress` from 0 to 1."""
    if progress < recipe.warmup_share:
        return recipe.peak_rate * progress / recipe.warmup_share
    return recipe.peak_rate * (1 - progress) / (1 - recipe.warmup_share)


def parameter_groups(network: torch.nn.Module, weight_decay: float) -> list[dict]:
    """Batch norm and biases are not decayed."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim == 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


class Training:
    """Network, optimiser and the number of the next epoch: what a checkpoint holds."""

    def __init__(self, recipe: Recipe, checkpoint: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.checkpoint = checkpoint
        self.network = ResNet(recipe.layers).to(memory_format=torch.channels_last)
        groups = parameter_groups(self.network, recipe.weight_decay)
        self.optimiser = torch.optim.SGD(groups, lr=0.1, momentum=recipe.momentum, nesterov=True)
        self.epoch = 0
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

    def save(self) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "recipe": asdict(self.recipe),
        }
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def step(self, images: torch.Tensor, labels: torch.Tensor, progress: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, progress)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(images)
        loss = functional.cross_entropy(logits.float(), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()

    def run_epoch(self, augmenter: Augmenter, labels: np.ndarray) -> float:
        """Mean loss. Random numbers follow from seed and epoch alone: a resumed run is the same run."""
        random = np.random.default_rng([self.recipe.seed, self.epoch])
        batches = len(labels) // self.recipe.batch
        order = random.permutation(len(labels))[: batches * self.recipe.batch].reshape(batches, -1)
        self.network.train()
        losses = []
        for number, indices in enumerate(order):
            progress = (self.epoch + number / batches) / self.recipe.epochs
            images = normalise(augmenter.batch(indices, random))
            losses.append(self.step(images, torch.from_numpy(labels[indices]), progress))
        self.epoch += 1
        return float(np.mean(losses))


@torch.inference_mode()
def predict(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """The class of each image."""
    network.eval()
    return np.concatenate([network(normalise(images[i : i + 250])).argmax(1) for i in range(0, len(images), 250)])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--checkpoint", type=Path, default=cifar10.cache() / "training" / "resnet20.pt")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    training = Training(Recipe(epochs=options.epochs, seed=options.seed), options.checkpoint)
    training.resume()
    images, labels = cifar10.load_train()
    test_images, test_labels = cifar10.load_test()
    augmenter = Augmenter(images)
    while training.epoch < training.recipe.epochs:
        start = time.monotonic()
        loss = training.run_epoch(augmenter, labels)
        seconds = time.monotonic() - start
        training.save()
        accuracy = float((predict(training.network, test_images) == test_labels).mean())
        line = {"epoch": training.epoch, "loss": round(loss, 4), "accuracy": accuracy, "seconds": round(seconds)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
