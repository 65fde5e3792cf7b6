"""The recurrent rung: a gated recurrent unit in the place of attention (Cho et al. 2014, arXiv:1406.1078)."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sciformer.tokens import PADDING


class RecurrentBlock(nn.Module):
    """x + GRU(norm x) over the tokens of each sample in their order, in both directions unless ``causal``.

    A recurrent network has no coordinates: what it knows of time must be in the tokens.
    """

    def __init__(self, width: int, make_norm: Callable[[], nn.Module], dropout: float, *, causal: bool):
        super().__init__()
        self.norm = make_norm()
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=not causal)
        self.out = nn.Linear(width if causal else 2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b n d"], sample: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """1. one row per sample; 2. read it; 3. put every token back in its place."""
        place, rows = _sequences(sample)
        if not len(place):
            return x
        lengths = torch.bincount(rows[:, 0])
        sequences = x.new_zeros(len(lengths), int(lengths.max()), x.shape[-1])
        sequences[rows[:, 0], rows[:, 1]] = self.norm(x)[place[:, 0], place[:, 1]]
        packed = pack_padded_sequence(sequences, lengths.cpu(), batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        update = torch.zeros_like(x)
        update[place[:, 0], place[:, 1]] = self.out(read[rows[:, 0], rows[:, 1]]).to(x.dtype)
        return x + self.dropout(update)


def _sequences(sample: Int[Tensor, "b n"]) -> tuple[Int[Tensor, "tokens 2"], Int[Tensor, "tokens 2"]]:
    """Row and column of every existing token, and its sequence and place in it."""
    place = (sample != PADDING).nonzero()
    if not len(place):
        return place, place
    ids = torch.stack([place[:, 0], sample[place[:, 0], place[:, 1]]], dim=-1)
    _, sequence = torch.unique(ids, dim=0, return_inverse=True)
    order = torch.argsort(sequence, stable=True)  # tokens of a sample keep their order
    starts = torch.bincount(sequence).cumsum(0).roll(1)
    starts[0] = 0
    step = torch.empty_like(sequence)
    step[order] = torch.arange(len(order), device=sample.device) - starts[sequence[order]]
    return place, torch.stack([sequence, step], dim=-1)
