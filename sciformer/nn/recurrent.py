"""The recurrent rung: a gated recurrent unit in the place of attention (Cho et al. 2014, arXiv:1406.1078)."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sciformer.nn.sequences import Sequences


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
        sequences = Sequences.of(sample)
        if not len(sequences.place):
            return x
        rows, lengths = sequences.lay_out(self.norm(x)), sequences.lengths.cpu()
        packed = pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return x + self.dropout(sequences.put_back(self.out(read), x))
