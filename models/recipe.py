"""All that decides the result of a training, apart from the code and the data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    layers: int = 20
    epochs: int = 200
    batch: int = 128
    # Each part of a batch has its own batch-norm statistics and is computed by one thread,
    # so that the weights do not depend on the number of threads.
    parts: int = 2
    peak_rate: float = 0.1
    warmup_share: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    border: int = 4
    jpeg_every: int = 5
    jpeg_qualities: tuple[int, int] = (50, 95)
    seed: int = 1

    def learning_rate(self, progress: float) -> float:
        """Linear up to the peak, linear down to zero; `progress` from 0 to 1."""
        if progress < self.warmup_share:
            return self.peak_rate * progress / self.warmup_share
        return self.peak_rate * (1 - progress) / (1 - self.warmup_share)
