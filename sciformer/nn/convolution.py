"""The convolutional rung: a window of neighbours in the place of attention (LeCun et al. 1989)."""

from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from sciformer.nn.sequences import Sequences


class ConvolutionBlock(nn.Module):
    """x + out(gelu(convolution(norm x))) over the tokens of each sample in their order; ``causal`` looks back only.

    A convolution has no coordinates: neighbours are those that follow each other.
    """

    KERNEL: ClassVar[int] = 9
    """Tokens that are seen at once, the middle one of which is answered about."""

    def __init__(self, width: int, make_norm: Callable[[], nn.Module], dropout: float, *, causal: bool):
        super().__init__()
        self.norm, self.causal = make_norm(), causal
        self.convolution = nn.Conv1d(width, width, self.KERNEL)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b n d"], sample: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """1. one row per sample; 2. see the neighbours; 3. put every token back in its place."""
        sequences = Sequences.of(sample)
        if not len(sequences.place):
            return x
        rows = sequences.lay_out(self.norm(x)).transpose(1, 2)
        before = self.KERNEL - 1 if self.causal else self.KERNEL // 2
        seen = self.convolution(functional.pad(rows, (before, self.KERNEL - 1 - before))).transpose(1, 2)
        return x + self.dropout(sequences.put_back(self.out(functional.gelu(seen)), x))
