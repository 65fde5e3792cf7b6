"""From typed columns to vectors: the schema says everything that these layers need to know."""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn

from sciformer.nn.scale import Standardizer
from sciformer.tokens import PADDING, Category, Schema, Tokens


class ColumnEmbedder(nn.Module):
    """Sum of one learned vector per categorical column and one scaled vector per value column.

    What the scaling per sample takes away, the spread of its values, is given back as its logarithm: the amplitude
    of a variable star is seen, its mean brightness is not.

    With ``dropped`` above 0, categories of hidden tokens are 0, and those of the others are multiplied by
    (1 - ``dropped``) / (1 - the hidden share of the record): the sum over a record stays as large as in training, when
    ``dropped`` of the tokens were hidden. It is ``token_dropout`` of ESM-2 (Lin et al. 2023,
    doi:10.1126/science.ade2574).
    """

    offsets: Integer[Tensor, " i"]
    own: Integer[Tensor, " o"]

    def __init__(self, schema: Schema, width: int, dropped: float | int = 0.0):
        super().__init__()
        self.dropped = dropped
        self.seen = [j for j, column in enumerate(schema.ids) if column.embedded]
        sizes = [schema.ids[j].size for j in self.seen]
        self.register_buffer("offsets", torch.tensor([0, *sizes]).cumsum(0)[:-1], persistent=False)
        self.ids = nn.Embedding(sum(sizes), width)
        self.read = [j for j, column in enumerate(schema.values) if column.embedded]
        columns = tuple(schema.values[j] for j in self.read)
        self.scale = Standardizer(columns)
        self.value = nn.Parameter(torch.randn(len(columns), width))
        self.missing = nn.Parameter(torch.randn(len(columns), width))
        own = [j for j, column in enumerate(columns) if column.scale == "per_sample" and not column.error_of]
        self.register_buffer("own", torch.tensor(own, dtype=torch.long), persistent=False)
        self.spread = nn.Parameter(0.1 * torch.randn(len(own), width))
        self.wavy = [j for j, column in enumerate(columns) if column.wavy]
        self.waves = Waves(len(self.wavy), width) if self.wavy else None
        nn.init.normal_(self.ids.weight, std=max(1, len(sizes) + len(columns)) ** -0.5)
        for j, table in zip(self.seen, self.ids.weight.detach().split(sizes), strict=True):
            if schema.ids[j].silent:
                table.zero_()

    def fit(self, rows: Iterable[Tokens]) -> None:
        """Take the scale of the value columns from the tokens of training records.

        Raises ``ValueError`` for a column that is never observed or does not vary there.
        """
        self.scale.fit_to(rows, self.read)

    def forward(self, tokens: Tokens) -> Float[Tensor, "b n d"]:
        """1. look up and add the categories; 2. scale the values; 3. add what is observed; 4. say what is not."""
        x = self.ids(tokens.ids[..., self.seen] + self.offsets).sum(-2)
        if self.dropped:
            x = x * self._made_up(tokens)
        if self.read:
            values, observed = tokens.values[..., self.read], tokens.observed[..., self.read]
            mean, std = self.scale.statistics(values, observed, tokens.sample)
            scaled = self.scale.normalised(values, observed, mean, std)
            x = x + scaled @ self.value
            x = x + std[..., self.own].log() @ self.spread
            x = x + (~observed).to(x.dtype) @ self.missing
            if self.waves is not None:
                x = x + self.waves(scaled[..., self.wavy], observed[..., self.wavy])
        return x

    def _made_up(self, tokens: Tokens) -> Float[Tensor, "b n 1"]:
        """The factor of every token: 0 where it is hidden."""
        seen = (tokens.ids[..., self.seen] > 0).any(-1)
        slot = tokens.sample - PADDING
        none = torch.zeros(len(slot), int(slot.max()) + 1, device=slot.device)
        visible = none.scatter_add(-1, slot, seen.to(none.dtype)).gather(-1, slot)
        whole = none.scatter_add(-1, slot, torch.ones_like(visible)).gather(-1, slot)
        return torch.where(seen, (1 - self.dropped) * whole / visible, 0.0).unsqueeze(-1)


class Waves(nn.Module):
    """Numbers as sums of sines and cosines of learned frequencies, each with its own vector: what comes after can then
    change sharply with a number, which from a straight line takes many steps to learn.

    The periodic embedding of Gorishniy et al. 2022 (arXiv:2203.05556, eq. 2), summed over the columns.
    """

    FREQUENCIES: ClassVar[int] = 8
    SPREAD: ClassVar[float] = 0.5
    """Of the frequencies at the start, in cycles per unit."""

    def __init__(self, columns: int, width: int):
        super().__init__()
        self.frequency = nn.Parameter(self.SPREAD * torch.randn(columns, self.FREQUENCIES))
        self.table = nn.Parameter(torch.randn(columns * 2 * self.FREQUENCIES, width) / (2 * self.FREQUENCIES) ** 0.5)

    def forward(self, x: Float[Tensor, "*b c"], known: Bool[Tensor, "*b c"]) -> Float[Tensor, "*b d"]:
        angle = 2 * math.pi * x.unsqueeze(-1) * self.frequency
        waves = torch.cat([angle.cos(), angle.sin()], -1) * known.unsqueeze(-1)
        return waves.flatten(-2) @ self.table


class PairBias(nn.Module):
    """An additive attention bias per head, learned for each category of a token pair.

    As the spatial and edge encodings of Graphormer (Ying et al. 2021, arXiv:2106.05234, eq. 6-7),
    with a table of its own for every block.
    """

    def __init__(self, pairs: Sequence[Category], depth: int, heads: int):
        super().__init__()
        self.depth, self.heads = depth, heads
        tables = [nn.Embedding(column.size, depth * heads) for column in pairs]
        for table in tables:
            nn.init.zeros_(table.weight)
        self.tables = nn.ModuleList(tables)

    def forward(self, pair: Integer[Tensor, "b n n p"]) -> Float[Tensor, "depth b h n n"]:
        bias = functools.reduce(torch.add, (table(pair[..., j].int()) for j, table in enumerate(self.tables)))
        return bias.unflatten(-1, (self.depth, self.heads)).permute(3, 0, 4, 1, 2)


class PairCensus(nn.Module):
    """How many pairs of each category a token has, as a vector: an atom's bonds by kind, and how many atoms lie
    at each distance. The centrality encoding of Graphormer (eq. 5) for every pair column: attention averages
    over neighbours, and an average cannot count them.
    """

    def __init__(self, pairs: Sequence[Category], width: int):
        super().__init__()
        self.tables = nn.ModuleList(nn.Linear(column.size - 1, width, bias=False) for column in pairs)
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.1)  # pyright: ignore[reportArgumentType]

    def forward(self, pair: Integer[Tensor, "b n n p"]) -> Float[Tensor, "b n d"]:
        """Category 0 (no such pair: padding, another record) is not counted; the logarithm tames large records."""
        return functools.reduce(
            torch.add,
            (
                table(torch.log1p(_counts(pair[..., j].long(), table.in_features + 1)[..., 1:]))  # pyright: ignore
                for j, table in enumerate(self.tables)
            ),
        )


def _counts(ids: Integer[Tensor, "b n n"], size: int) -> Float[Tensor, "b n size"]:
    counts = torch.zeros(*ids.shape[:2], size, device=ids.device)
    return counts.scatter_add_(-1, ids, torch.ones(ids.shape, device=ids.device))
