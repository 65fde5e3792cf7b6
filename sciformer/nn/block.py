"""The pre-norm transformer block (Xiong et al. 2020, arXiv:2002.04745)."""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from sciformer.nn.attention import Angles, SelfAttention

Norm = Literal["layer", "rms"]
Activation = Literal["gelu", "swiglu"]


def norm(kind: Norm, width: int, *, bias: bool) -> nn.Module:
    """LayerNorm, or RMSNorm (Zhang & Sennrich 2019), which has no bias."""
    return nn.LayerNorm(width, bias=bias) if kind == "layer" else nn.RMSNorm(width)


class FeedForward(nn.Module):
    """Position-wise network; ``swiglu`` is the gated form of Shazeer 2020 (arXiv:2002.05202)
    with two thirds of the hidden width, so that both have the same number of weights."""

    def __init__(self, width: int, expansion: float, activation: Activation, *, bias: bool):
        super().__init__()
        hidden = int(width * expansion * (2 / 3 if activation == "swiglu" else 1))
        self.gated = activation == "swiglu"
        self.up = nn.Linear(width, hidden * (2 if self.gated else 1), bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        h = self.up(x)
        if self.gated:
            gate, h = h.chunk(2, dim=-1)
            return self.down(functional.silu(gate) * h)
        return self.down(functional.gelu(h))


class Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x)."""

    def __init__(
        self, attention: SelfAttention, feed_forward: FeedForward, make_norm: Callable[[], nn.Module], dropout: float
    ):
        super().__init__()
        self.attention, self.feed_forward = attention, feed_forward
        self.norm_attention, self.norm_feed_forward = make_norm(), make_norm()
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        allowed: Bool[Tensor, "b 1 n n"],
        bias: Float[Tensor, "b h n n"] | None = None,
        angles: Angles = None,
    ) -> Float[Tensor, "b n d"]:
        x = x + self.dropout(self.attention(self.norm_attention(x), allowed, bias, angles))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))
