"""Every sample of a batch in a row of its own, wherever its tokens lie, and cut into windows where it is long."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sciformer.tokens import PADDING


@dataclass(frozen=True)
class Sequences:
    """Where the tokens of a batch go: ``place`` (row and column of each) to ``row`` (sequence and step in it)."""

    place: Int[Tensor, "tokens 2"]
    row: Int[Tensor, "tokens 2"]

    @classmethod
    def of(cls, sample: Int[Tensor, "b n"]) -> "Sequences":
        """Tokens of a sample keep their order."""
        place = (sample != PADDING).nonzero()
        if not len(place):
            return cls(place, place)
        ids = place[:, 0] * (sample.max() + 1) + sample[place[:, 0], place[:, 1]]  # numbers sort faster than pairs
        _, sequence = torch.unique(ids, return_inverse=True)
        order = torch.argsort(sequence, stable=True)
        starts = torch.bincount(sequence).cumsum(0).roll(1)
        starts[0] = 0
        step = torch.empty_like(sequence)
        step[order] = torch.arange(len(order), device=sample.device) - starts[sequence[order]]
        return cls(place, torch.stack([sequence, step], dim=-1))

    @property
    def lengths(self) -> Int[Tensor, " s"]:
        return torch.bincount(self.row[:, 0])

    def lay_out(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "s m d"]:
        """A row per sequence, filled up with zeros."""
        lengths = self.lengths
        rows = x.new_zeros(len(lengths), int(lengths.max()), x.shape[-1])
        rows[self.row[:, 0], self.row[:, 1]] = x[self.place[:, 0], self.place[:, 1]]
        return rows

    def put_back(self, rows: Float[Tensor, "s m d"], like: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Every token in the place that it came from; 0 where there is none."""
        out = torch.zeros_like(like)
        out[self.place[:, 0], self.place[:, 1]] = rows[self.row[:, 0], self.row[:, 1]].to(like.dtype)
        return out


@dataclass(frozen=True)
class Windows:
    """Overlapping windows of ``context`` tokens, which a backbone reads one by one.

    A sample of at most ``context`` tokens is one window. A longer one has the fewest windows that overlap by at least
    half, evenly spaced from its first to its last token. Each of its tokens is then read off the window in which it
    lies deepest, that is farthest from the edges; of equals the first.
    """

    taken: Int[Tensor, "w c 2"]
    """Row and column of the token at each place of each window; -1 where there is none."""
    place: Int[Tensor, "tokens 2"]
    back: Int[Tensor, "tokens 2"]
    """Of each token its place in the batch, and the window and place in it that it is read off."""

    @classmethod
    def of(cls, sample: Int[Tensor, "b n"], context: int) -> "Windows | None":
        """None where every sample fits into one window as it lies."""
        if sample.shape[1] <= context:
            return None
        sequences = Sequences.of(sample)
        if not len(sequences.place) or int(sequences.lengths.max()) <= context:
            return None
        order = torch.argsort(sequences.row[:, 0], stable=True)
        depth = torch.minimum(torch.arange(context), torch.arange(context - 1, -1, -1))
        taken, place, back = [], [], []
        for tokens in sequences.place[order].split(sequences.lengths.tolist()):
            best = torch.full((len(tokens),), -1)
            deepest = torch.zeros(len(tokens), 2, dtype=torch.long)
            for start in window_starts(len(tokens), context):
                window = tokens[start : start + context]
                better = depth[: len(window)] > best[start : start + context]
                best[start : start + context][better] = depth[: len(window)][better]
                here = torch.stack([torch.full((len(window),), len(taken)), torch.arange(len(window))], dim=-1)
                span = deepest[start : start + context]
                span[better] = here[better]
                taken.append(torch.nn.functional.pad(window, (0, 0, 0, context - len(window)), value=-1))
            place.append(tokens)
            back.append(deepest)
        return cls(torch.stack(taken), torch.cat(place), torch.cat(back).to(sample.device))

    def take(self, x: Tensor) -> Tensor:
        """What stands at each place of each window: ``b n ...`` to ``w c ...``; 0 where there is no token."""
        found = x[self.taken[..., 0], self.taken[..., 1]]
        missing = (self.taken[..., 0] < 0).view(*self.taken.shape[:2], *[1] * (found.ndim - 2))
        return found.masked_fill(missing, 0)

    @property
    def sample(self) -> Int[Tensor, "w c"]:
        """Who may attend to whom: all tokens of a window."""
        return torch.where(self.taken[..., 0] < 0, PADDING, 0)

    def stitch(self, states: Float[Tensor, "w c d"], like: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The state of every token from the window in which it lies deepest."""
        out = torch.zeros_like(like)
        out[self.place[:, 0], self.place[:, 1]] = states[self.back[:, 0], self.back[:, 1]].to(like.dtype)
        return out


def window_starts(length: int, context: int) -> list[int]:
    """Where the windows of a sample of so many tokens begin."""
    if length <= context:
        return [0]
    step = context // 2
    count = 1 + math.ceil((length - context) / step)
    return [round(i * (length - context) / (count - 1)) for i in range(count)]
