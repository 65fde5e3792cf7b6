"""Low-rank adaptation of attention blocks (LoRA; Hu et al. 2021, arXiv:2106.09685).

What a layer has learned is frozen; beside it a product of two small matrices is trained. Afterwards the product is
added to the weights, so an adapted model is of the same shape and costs the same as the one it came from.
"""

import copy
import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sciformer.nn.block import Block


class LoraLinear(nn.Module):
    """y = base(x) + alpha / rank * up down x, where only ``up`` and ``down`` are trained.

    ``down`` [rank, in] starts as the weights of a linear layer do and ``up`` [out, rank] at zero, as in the reference
    implementation: untrained, the answers are those of ``base``. The factors are of its dtype and on its device.

    Raises ``ValueError`` for a rank below 1 or above the smaller side of the matrix, and for an ``alpha`` that is not
    positive.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float | int):
        super().__init__()
        largest = min(base.in_features, base.out_features)
        if not 1 <= rank <= largest:
            raise ValueError(
                f"the rank of an update must lie in 1..{largest}, the smaller side of a matrix of {base.out_features} "
                f"x {base.in_features}, got {rank}: 4 to 16 is usual"
            )
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {alpha}: one or two times the rank is usual")
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        return self.base(x) + self.scale * (x @ self.down.T) @ self.up.T

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One frozen linear layer with the same answers; this one is left as it is."""
        linear = copy.deepcopy(self.base)
        linear.weight.add_(self.scale * self.up @ self.down)
        return linear


def inject(model: nn.Module, rank: int, alpha: float | int) -> None:
    """Adapt the four linear layers of every attention block of ``model``, in place, and freeze everything else of it.

    ``qkv`` is one matrix that makes queries, keys and values, and its update is of that matrix: the three share
    ``down`` and one rank, where an update of each alone would have a rank of its own.

    Raises ``ValueError`` for a model without attention blocks or with blocks that are adapted already, and for a rank
    or ``alpha`` that cannot be.
    """
    sites = [
        (part, name)
        for block in model.modules()
        if isinstance(block, Block)
        for part, names in ((block.attention, ("qkv", "out")), (block.feed_forward, ("up", "down")))
        for name in names
    ]
    if not sites:
        raise ValueError(
            'low-rank updates adapt attention blocks, of which this model has none (a backbone of kind "gru" or "cnn", '
            'or a "hybrid" of depth below 3): fine-tune it with mode "full" or "head"'
        )
    if any(isinstance(module, LoraLinear) for module in model.modules()):
        raise ValueError("this model has low-rank updates already: merge them before others are added")
    adapted = [LoraLinear(getattr(part, name), rank, alpha) for part, name in sites]
    model.requires_grad_(False)
    for (part, name), linear in zip(sites, adapted, strict=True):
        setattr(part, name, linear)


def merge(model: nn.Module) -> None:
    """Put linear layers with the same answers in the place of all that are adapted; all stays frozen. A model without
    updates is left as it is."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLinear):
                setattr(parent, name, child.merged())


def factors(model: nn.Module) -> dict[str, Tensor]:
    """``up`` and ``down`` of every adapted layer, by their names in ``model``; they share the memory of the model.

    Their ``alpha`` is not among them: the model that loads them must be given the same.
    """
    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear)]
    return {
        f"{name}.{factor}" if name else factor: getattr(module, factor).detach()
        for name, module in adapted
        for factor in ("down", "up")
    }


def load_factors(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy saved ``factors`` into a model that was adapted with the same rank.

    Raises ``ValueError`` that names what is missing, unexpected or of another shape; the model is then untouched.
    """
    own = factors(model)
    shapes = {name: (tuple(weights[name].shape), tuple(own[name].shape)) for name in own if name in weights}
    faults = [
        *(f"{name} is missing" for name in own if name not in weights),
        *(f"{name} is unexpected" for name in weights if name not in own),
        *(f"{name} has shape {given}, not {right}" for name, (given, right) in shapes.items() if given != right),
    ]
    if faults:
        raise ValueError(
            f"these low-rank updates are not of this model: {'; '.join(faults)}. Adapt a model of the same shape with "
            "the same rank first"
        )
    for name, value in own.items():
        value.copy_(weights[name])
