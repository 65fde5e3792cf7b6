"""Scaled dot-product attention (Vaswani et al. 2017, eq. 1); the only module that calls the fused kernel."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from sciformer.nn.positions import rotate

Angles = tuple[Tensor, Tensor] | None


def may_attend(queries: Int[Tensor, "b q"], keys: Int[Tensor, "b n"]) -> Bool[Tensor, "b 1 q n"]:
    """Attention is allowed where the sample ids are equal. Padding sees padding, so no row is empty
    among tokens of one stream, and no real token ever sees padding."""
    return (queries.unsqueeze(-1) == keys.unsqueeze(-2)).unsqueeze(1)


def attend(
    q: Float[Tensor, "b h q k"],
    k: Float[Tensor, "b h n k"],
    v: Float[Tensor, "b h n k"],
    allowed: Bool[Tensor, "b 1 q n"],
    bias: Float[Tensor, "b h q n"] | None = None,
) -> Float[Tensor, "b h q k"]:
    """Softmax attention with an additive bias; a query with nothing to attend to answers 0."""
    reachable = allowed.any(-1, keepdim=True)
    mask = allowed | ~reachable
    if bias is not None:
        mask = bias.masked_fill(~mask, float("-inf")).to(q.dtype)
    # No dropout on the weights: it would leave the fused kernel and cost several times the time.
    out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return out.masked_fill(~reachable, 0.0)


def attention_weights(
    q: Float[Tensor, "b h q k"],
    k: Float[Tensor, "b h n k"],
    allowed: Bool[Tensor, "b 1 q n"],
    bias: Float[Tensor, "b h q n"] | None = None,
) -> Float[Tensor, "b h q n"]:
    """The weights that ``attend`` uses, written out for those who want to look at them."""
    scores = q.float() @ k.float().transpose(-1, -2) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1).nan_to_num(0.0)


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to the tokens of their own sample."""

    def __init__(self, width: int, heads: int, *, bias: bool, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def project(self, x: Float[Tensor, "b n d"], angles: Angles) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return rotate(q, angles), rotate(k, angles), v

    def visible(self, allowed: Bool[Tensor, "b 1 n n"]) -> Bool[Tensor, "b 1 n n"]:
        return allowed.tril() if self.causal else allowed

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        allowed: Bool[Tensor, "b 1 n n"],
        bias: Float[Tensor, "b h n n"] | None = None,
        angles: Angles = None,
    ) -> Float[Tensor, "b n d"]:
        """1. project; 2. turn by position; 3. attend; 4. mix the heads."""
        q, k, v = self.project(x, angles)
        y = attend(q, k, v, self.visible(allowed), bias)
        return self.out(y.transpose(1, 2).flatten(-2))

    def weights(
        self,
        x: Float[Tensor, "b n d"],
        allowed: Bool[Tensor, "b 1 n n"],
        bias: Float[Tensor, "b h n n"] | None = None,
        angles: Angles = None,
    ) -> Float[Tensor, "b h n n"]:
        q, k, _ = self.project(x, angles)
        return attention_weights(q, k, self.visible(allowed), bias)


class CrossAttention(nn.Module):
    """Multi-head attention of questions to the tokens that may answer them."""

    def __init__(self, width: int, heads: int, *, bias: bool):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=bias)
        self.kv = nn.Linear(width, 2 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def project(
        self, x: Float[Tensor, "b q d"], memory: Float[Tensor, "b n d"], angles: tuple[Angles, Angles]
    ) -> tuple[Tensor, Tensor, Tensor]:
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return rotate(q, angles[0]), rotate(k, angles[1]), v

    def forward(
        self,
        x: Float[Tensor, "b q d"],
        memory: Float[Tensor, "b n d"],
        allowed: Bool[Tensor, "b 1 q n"],
        angles: tuple[Angles, Angles] = (None, None),
    ) -> Float[Tensor, "b q d"]:
        q, k, v = self.project(x, memory, angles)
        return self.out(attend(q, k, v, allowed).transpose(1, 2).flatten(-2))

    def weights(
        self,
        x: Float[Tensor, "b q d"],
        memory: Float[Tensor, "b n d"],
        allowed: Bool[Tensor, "b 1 q n"],
        angles: tuple[Angles, Angles] = (None, None),
    ) -> Float[Tensor, "b h q n"]:
        q, k, _ = self.project(x, memory, angles)
        return attention_weights(q, k, allowed)
