"""Optimiser settings and schedules; torch only, so that asking for options costs no trainer."""

import math
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class OptimConfig:
    """Optimisation of one model.

    Attributes:
        epochs: Passes over the training part.
        lr: Peak learning rate of AdamW.
        weight_decay: Decay of matrices; vectors (norms, biases) are not decayed.
        warmup: Share of the steps during which the learning rate rises; it falls as a cosine after.
        clip: Largest norm of the gradient; 0 switches clipping off.
        patience: Epochs without a better validation loss before training stops and the best weights are
            taken; 0 trains to the end and takes the last.
        ema: Decay of the running average of the weights (0 switches it off; 0.999 is usual).
        balance: How much rare classes are favoured: 0 takes classes as frequent as they are, 1 as if all were alike.
    """

    epochs: int = 30
    lr: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    patience: int = 0
    ema: float = 0.0
    balance: float = 0.0

    def __post_init__(self):
        if self.epochs < 1 or self.lr <= 0 or not 0 <= self.warmup < 1 or not 0 <= self.ema < 1:
            raise ValueError(f"need epochs >= 1, lr > 0, 0 <= warmup < 1 and 0 <= ema < 1, got {self}")
        if not 0 <= self.balance <= 1:
            raise ValueError(f"optim.balance must lie in 0..1, got {self.balance}")
        if self.weight_decay < 0 or self.clip < 0 or self.patience < 0:
            raise ValueError(f"weight_decay, clip and patience must not be negative, got {self}")


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices, leave vectors alone (Loshchilov & Hutter 2019; the usual split)."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]


def warmup_cosine(step: int, total: int, warmup: float) -> float:
    """Factor of the learning rate: a straight rise over the first steps, then a cosine down to 0."""
    rise = max(1, round(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))
