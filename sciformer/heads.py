"""Heads read the backbone's tokens: one answer per token, or one per question by cross-attention."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sciformer.model import Encoded, SciformerConfig
from sciformer.nn.attention import Angles, CrossAttention, may_attend
from sciformer.nn.block import FeedForward, norm


class TokenHead(nn.Module):
    """An answer at every token: the masked-column and per-residue head."""

    def __init__(self, config: SciformerConfig, outputs: int):
        super().__init__()
        self.hidden = nn.Linear(config.width, config.width, bias=config.bias)
        self.norm = norm(config.norm, config.width, bias=config.bias)
        self.out = nn.Linear(config.width, outputs)

    def forward(self, encoded: Encoded) -> Float[Tensor, "b n outputs"]:
        return self.out(self.norm(nn.functional.gelu(self.hidden(encoded.states))))


class QueryHead(nn.Module):
    """Questions attend to the tokens of their sample (the decoder half of Vaswani et al. 2017, without
    self-attention among the questions: no answer depends on what else is asked).

    Attention averages, and an average cannot count: twice the molecule would get the same answer. So for an
    ``extensive`` record, whose tokens are its parts, the head also sums the tokens, and ends without a norm, which
    would take the amount away again. The number of observations of a star says nothing of the star: no sum there.
    """

    COUNT: ClassVar[float] = 10.0
    """A sum over so many tokens weighs as much as their average."""

    def __init__(self, config: SciformerConfig, *, extensive: bool = True):
        super().__init__()
        self.norm_question = norm(config.norm, config.width, bias=config.bias)
        self.attention = CrossAttention(config.width, config.heads, bias=config.bias)
        self.norm_answer = norm(config.norm, config.width, bias=config.bias)
        self.feed_forward = FeedForward(config.width, config.expansion, config.activation, bias=config.bias)
        self.amount = nn.Linear(config.width, config.width, bias=config.bias) if extensive else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        questions: Float[Tensor, "b q d"],
        sample: Int[Tensor, "b q"],
        encoded: Encoded,
        angles: Angles = None,
    ) -> Float[Tensor, "b q d"]:
        """1. who may ask whom; 2. cross-attention: what is there; 3. sum: how much of it; 4. feed-forward."""
        allowed = may_attend(sample, encoded.sample)
        read = self.attention(self.norm_question(questions), encoded.states, allowed, _places(angles, encoded))
        x = questions + self.dropout(read)
        if self.amount is not None:
            total = allowed.squeeze(1).to(read.dtype) @ self.amount(encoded.states) / self.COUNT
            x = x + self.dropout(total)
        return x + self.dropout(self.feed_forward(self.norm_answer(x)))

    def weights(
        self,
        questions: Float[Tensor, "b q d"],
        sample: Int[Tensor, "b q"],
        encoded: Encoded,
        angles: Angles = None,
    ) -> Float[Tensor, "b h q n"]:
        """How much each question, head by head, reads from each token."""
        allowed = may_attend(sample, encoded.sample)
        return self.attention.weights(self.norm_question(questions), encoded.states, allowed, _places(angles, encoded))


def _places(angles: Angles, encoded: Encoded) -> tuple[Angles, Angles]:
    """Questions that are nowhere meet tokens without their places. Turning the tokens alone would make the
    answer depend on where the origin of the coordinates lies."""
    return (None, None) if angles is None else (angles, encoded.angles)


def learned_questions(count: int, config: SciformerConfig) -> nn.Parameter:
    return nn.Parameter(torch.randn(count, config.width) * 0.02)
