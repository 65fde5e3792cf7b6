"""The backbone: every modality is embedded, all are laid side by side, one stack of blocks reads them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sciformer.adapter import DomainAdapter
from sciformer.nn.attention import Angles, SelfAttention, may_attend
from sciformer.nn.block import Activation, Block, FeedForward, Norm, norm
from sciformer.nn.convolution import ConvolutionBlock
from sciformer.nn.embed import ColumnEmbedder, PairBias, PairCensus
from sciformer.nn.positions import Rotary, merge_axes
from sciformer.nn.recurrent import RecurrentBlock
from sciformer.nn.sequences import Windows
from sciformer.tokens import Example, Tokens


@dataclass(frozen=True)
class SciformerConfig:
    """Shape of the backbone.

    Attributes:
        width: Size of a token vector.
        depth: Number of blocks.
        heads: Attention heads per block; must divide the width.
        expansion: Hidden width of the feed-forward network, in widths.
        dropout: Dropout on block outputs. Attention weights are never dropped (slow, and no gain seen).
        norm: Kind of normalisation.
        activation: Kind of feed-forward network.
        bias: Whether linear layers and norms have a bias.
        causal: Whether a token sees only tokens before it.
        backbone: Attention; a gated recurrent unit or convolutions in its place; or a hybrid, in which every third
            block has attention (none below a depth of 3) and the others see neighbours at once, which attention has to
            learn first.
        context: A record of more tokens is read in overlapping windows of so many; 0 reads every record as a whole.
            Questions about a record are answered from all its tokens. Records with pairs are always read as a whole.
    """

    width: int = 128
    depth: int = 4
    heads: int = 8
    expansion: float = 4.0
    dropout: float = 0.1
    norm: Norm = "layer"
    activation: Activation = "gelu"
    bias: bool = True
    causal: bool = False
    backbone: Literal["transformer", "gru", "cnn", "hybrid"] = "transformer"
    context: int = 0

    def __post_init__(self):
        if (
            self.width < 1
            or self.depth < 1
            or self.heads < 1
            or self.width % self.heads
            or self.width // self.heads % 2
        ):
            raise ValueError(
                f"width must be a multiple of heads with an even head width, got width {self.width}, "
                f"heads {self.heads}, depth {self.depth}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        if self.context < 0 or self.context == 1:
            raise ValueError(f"context must be at least 2 tokens, or 0 for whole records, got {self.context}")
        if not self.width * self.expansion >= 2:
            raise ValueError(f"expansion must leave a hidden width of at least 2, got {self.expansion}")


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What the backbone hands to a head: a vector per token, and who belongs to whom."""

    states: Float[Tensor, "b n d"]
    sample: Int[Tensor, "b n"]
    angles: Angles


class Sciformer(nn.Module):
    """{modality: embedder} -> concatenate -> blocks -> norm."""

    def __init__(self, config: SciformerConfig, adapters: Mapping[str, DomainAdapter]):
        super().__init__()
        self.config = config
        self.embedders = nn.ModuleDict({name: a.embedder(config.width) for name, a in adapters.items()})
        pairs = {name: a.schema.pairs for name, a in adapters.items() if a.schema.pairs}
        self.pair_biases = nn.ModuleDict({n: PairBias(p, config.depth, config.heads) for n, p in pairs.items()})
        self.pair_censuses = nn.ModuleDict({n: PairCensus(p, config.width) for n, p in pairs.items()})
        self.axes = {name: a.schema.axes for name, a in adapters.items()}
        self.rotaries = nn.ModuleDict({name: Rotary(axes, self.head_width) for name, axes in self.axes.items()})
        self.dropout = nn.Dropout(config.dropout)
        make_norm = partial(norm, config.norm, config.width, bias=config.bias)
        self.blocks = nn.ModuleList(self._block(make_norm, layer) for layer in range(config.depth))
        self.norm = make_norm()
        self._initialise()

    def _block(self, make_norm: Callable[[], nn.Module], layer: int) -> Block | RecurrentBlock | ConvolutionBlock:
        config = self.config
        if config.backbone == "gru":
            return RecurrentBlock(config.width, make_norm, config.dropout, causal=config.causal)
        if config.backbone == "cnn" or (config.backbone == "hybrid" and layer % 3 < 2):
            return ConvolutionBlock(config.width, make_norm, config.dropout, causal=config.causal)
        attention = SelfAttention(config.width, config.heads, bias=config.bias, causal=config.causal)
        feed_forward = FeedForward(config.width, config.expansion, config.activation, bias=config.bias)
        return Block(attention, feed_forward, make_norm, config.dropout)

    def _initialise(self) -> None:
        """GPT-2 style: residual branches start small, so that depth does not blow up the sum."""
        for block in self.blocks:
            if not isinstance(block, Block):
                continue
            for layer in (block.attention.qkv, block.feed_forward.up):
                nn.init.xavier_uniform_(layer.weight)
            for layer in (block.attention.out, block.feed_forward.down):
                nn.init.xavier_uniform_(layer.weight, gain=(2 * self.config.depth) ** -0.5)
            for layer in (block.attention.qkv, block.attention.out, block.feed_forward.up, block.feed_forward.down):
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @property
    def head_width(self) -> int:
        return self.config.width // self.config.heads

    def rotary(self, modalities: Iterable[str]) -> Rotary:
        """What turns tokens by their places. Modalities that are read together share the frequencies of all their
        axes; one that is read alone has all frequencies for its own, whatever else the backbone can read."""
        together = set(modalities)
        names = [name for name in self.axes if name in together]
        if len(names) == 1:
            return cast(Rotary, self.rotaries[names[0]])
        merged = merge_axes([axis for name in names for axis in self.axes[name]])
        return Rotary(merged, self.head_width).to(next(self.parameters()).device)

    def fit(self, examples: Sequence[Example]) -> None:
        """Take the scale of what is read from training examples, which may be of different modalities; an embedder of a
        domain's own has none.

        Raises ``ValueError`` for a column that is never observed or does not vary there.
        """
        for name, embedder in self.embedders.items():
            if isinstance(embedder, ColumnEmbedder):
                embedder.fit(example.tokens[name] for example in examples if name in example.tokens)

    def embed(self, tokens: Mapping[str, Tokens]) -> Float[Tensor, "b n d"]:
        """What each token is, and how many pairs of each kind it has."""
        parts = {name: self.embedders[name](x) for name, x in tokens.items()}
        for name, census in self.pair_censuses.items():
            if name in parts:
                parts[name] = parts[name] + census(tokens[name].pair)
        return torch.cat(list(parts.values()), dim=1)

    def pair_bias(self, tokens: Mapping[str, Tokens]) -> Float[Tensor, "depth b h n n"] | None:
        """Bias of every block; pairs across modalities have none."""
        if not any(name in self.pair_biases for name in tokens):
            return None
        parts = {name: self.pair_biases[name](x.pair) for name, x in tokens.items() if name in self.pair_biases}
        if len(tokens) == 1:
            return next(iter(parts.values()))
        n = sum(x.size for x in tokens.values())
        first = next(iter(parts.values()))
        bias = first.new_zeros(*first.shape[:3], n, n)
        start = 0
        for name, x in tokens.items():
            if name in parts:
                bias[..., start : start + x.size, start : start + x.size] = parts[name]
            start += x.size
        return bias

    def forward(self, tokens: Mapping[str, Tokens]) -> Encoded:
        """1. embed; 2. where everything is; 3. read, what is long in windows; 4. norm."""
        x = self.dropout(self.embed(tokens))
        sample, coords = self.places(tokens)
        rotary, windows = self.rotary(tokens), self.windows(tokens)
        if windows is None:
            x = self.read(x, sample, rotary.angles(coords), self.pair_bias(tokens))
        else:
            angles = rotary.angles(windows.take(coords))
            x = windows.stitch(self.read(windows.take(x), windows.sample, angles), x)
        return Encoded(states=self.norm(x), sample=sample, angles=rotary.angles(coords))

    def windows(self, tokens: Mapping[str, Tokens]) -> Windows | None:
        """How the samples are cut; None where they are read whole, as those with pairs always are."""
        whole = not self.config.context or any(x.pair is not None for x in tokens.values())
        return None if whole else Windows.of(self.places(tokens)[0], self.config.context)

    def read(
        self,
        x: Float[Tensor, "b n d"],
        sample: Int[Tensor, "b n"],
        angles: Angles,
        bias: Float[Tensor, "depth b h n n"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """All blocks, one after the other."""
        allowed = may_attend(sample, sample) if self.attends else None
        for layer, block in enumerate(self.blocks):
            if isinstance(block, Block):
                assert allowed is not None  # this block attends
                x = block(x, allowed, None if bias is None else bias[layer], angles)
            else:
                x = block(x, sample)
        return x

    @property
    def attends(self) -> bool:
        """Whether any block has attention among tokens."""
        return any(isinstance(block, Block) for block in self.blocks)

    @staticmethod
    def places(tokens: Mapping[str, Tokens]) -> tuple[Int[Tensor, "b n"], Float[Tensor, "b n 5"]]:
        """Sample ids and coordinates of all modalities side by side."""
        sample = torch.cat([x.sample for x in tokens.values()], dim=1)
        return sample, torch.cat([x.coords for x in tokens.values()], dim=1)

    def attention(self, tokens: Mapping[str, Tokens]) -> Float[Tensor, "depth b h n n"]:
        """The self-attention weights of every block that has them.

        Raises ``ValueError`` for another backbone, which has none, and for records that are read in windows.
        """
        if not self.attends:
            raise ValueError(
                f"a backbone of kind {self.config.backbone!r} has no attention among tokens; that of the questions is "
                "in the task"
            )
        x = self.embed(tokens)
        sample, coords = self.places(tokens)
        if self.windows(tokens):
            raise ValueError(
                f"a record of more than {self.config.context} tokens is read in windows: there is no attention among "
                "all of its tokens; give a shorter piece"
            )
        allowed, bias = may_attend(sample, sample), self.pair_bias(tokens)
        angles = self.rotary(tokens).angles(coords)
        weights = []
        for layer, block in enumerate(self.blocks):
            if not isinstance(block, Block):
                x = block(x, sample)
                continue
            here = None if bias is None else bias[layer]
            weights.append(block.attention.weights(block.norm_attention(x), allowed, here, angles))
            x = block(x, allowed, here, angles)
        return torch.stack(weights)
