"""Optimiser settings and schedules; torch only, so that asking for options costs no trainer."""

import math
import re
from collections.abc import Callable
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


def parameter_groups(
    module: nn.Module, weight_decay: float, rate: Callable[[str], float] | None = None
) -> list[dict[str, Any]]:
    """Decay matrices, leave vectors alone (Loshchilov & Hutter 2019; the usual split).

    ``rate`` gives the factor of the learning rate by the full name of a parameter (discriminative learning rates,
    Howard & Ruder 2018, arXiv:1801.06146); the group holds it as ``lr_factor``. Each trainable parameter is in one
    group, frozen ones in none. The fastest group comes first, and of each factor the decayed one.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((rate(name) if rate else 1.0, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": groups[factor, decayed], "weight_decay": weight_decay if decayed else 0.0, "lr_factor": factor}
        for factor, decayed in sorted(groups, reverse=True)
    ]


def layer_of(name: str, depth: int) -> int:
    """Which layer of a ``SciformerModule`` a parameter belongs to, from 0, what reads the tokens, to ``depth`` + 1.

    Embedders, pair biases and pair censuses are layer 0, block i (from 0) is layer i + 1, the last norm is of the last
    block, and the task is layer ``depth`` + 1: numbered as in BEiT (Bao et al. 2021, arXiv:2106.08254).

    Raises ``ValueError`` for a name that is in no layer.
    """
    if name.startswith("task."):
        return depth + 1
    if name.startswith("model.norm."):
        return depth
    if name.startswith(("model.embedders.", "model.pair_biases.", "model.pair_censuses.")):
        return 0
    block = re.match(r"model\.blocks\.(\d+)\.", name)
    if block is None or int(block[1]) >= depth:
        raise ValueError(
            f"a parameter must belong to the task, the last norm, one of {depth} blocks, the embedders or the pairs of "
            f"a SciformerModule, got {name!r}: give the depth of the model and the names of the whole module"
        )
    return int(block[1]) + 1


def layer_rates(depth: int, decay: float, rate: float = 1.0) -> Callable[[str], float]:
    """Learning rates that fall from the task to the tokens (Clark et al. 2020, arXiv:2003.10555), as factors by name.

    With the layers l of ``layer_of`` the factor is 1 for the task and rate * decay^(depth + 1 - l) for all others:
    ``rate`` is that of the backbone as a whole, ``decay`` of the last block and the last norm, decay^depth of the first
    block, decay^(depth + 1) of what reads the tokens.

    Raises ``ValueError`` for a decay or a rate outside (0, 1].
    """
    if not 0 < decay <= 1:
        raise ValueError(f"the decay of learning rates by layer must lie in (0, 1], got {decay}: 0.65 to 0.95 is usual")
    if not 0 < rate <= 1:
        raise ValueError(f"the learning rate of the backbone relative to the task must lie in (0, 1], got {rate}")

    def factor(name: str) -> float:
        below = depth + 1 - layer_of(name, depth)
        return rate * decay**below if below else 1.0

    return factor


def warmup_cosine(step: int, total: int, warmup: float) -> float:
    """Factor of the learning rate: a straight rise over the first steps, then a cosine down to 0."""
    rise = max(1, round(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))
