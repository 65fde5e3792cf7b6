"""Normalisation inside the model: physical units go in, physical units come out."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sciformer.tokens import Tokens, Value


class Standardizer(nn.Module):
    """Centre and scale value columns, each by its own rule (see ``Value.scale``).

    The statistics of ``fixed`` columns are buffers: they travel with the checkpoint.
    """

    SMALLEST_ERROR: ClassVar[float] = 1e-4
    """In spreads of the measured column; below it no error is told from another."""

    mean: Float[Tensor, " v"]
    std: Float[Tensor, " v"]
    fitted: Bool[Tensor, ""]

    def __init__(self, columns: Sequence[Value]):
        super().__init__()
        self.columns = tuple(columns)
        self.register_buffer("mean", torch.zeros(len(columns)))
        self.register_buffer("std", torch.ones(len(columns)))
        self.register_buffer("fitted", torch.tensor(not any(self._fixed(column) for column in columns)))

    @staticmethod
    def _fixed(column: Value) -> bool:
        return column.scale == "fixed" and not column.error_of and not column.guess_of

    @property
    def errors(self) -> list[tuple[int, int]]:
        """Places of error columns, and of the columns that they are the errors of."""
        names = [column.name for column in self.columns]
        return [(j, names.index(c.error_of)) for j, c in enumerate(self.columns) if c.error_of]

    @property
    def guesses(self) -> list[tuple[int, int]]:
        """Places of columns that hold a guess, and of the columns that they guess, whose scale they share."""
        names = [column.name for column in self.columns]
        return [(j, names.index(c.guess_of)) for j, c in enumerate(self.columns) if c.guess_of]

    def fit(self, values: Float[Tensor, "rows v"], observed: Bool[Tensor, "rows v"]) -> None:
        """Take mean and standard deviation of the observed training values of every ``fixed`` column.

        Raises ``ValueError`` for a column that is never observed or does not vary.
        """
        for j, column in enumerate(self.columns):
            if not self._fixed(column):
                continue
            seen = values[observed[:, j], j].double()
            if len(seen) < 2 or not seen.std() > 1e-12 * seen.abs().max():
                what = "has no known value" if not len(seen) else f"is always {seen[0]:g}"
                raise ValueError(f"column {column.name!r} {what} in the training part: nothing to learn; drop it")
            self.mean[j], self.std[j] = seen.mean(), seen.std()
        self.fitted.fill_(True)

    def fit_to(self, rows: Sequence[Tokens], places: Sequence[int]) -> None:
        """The same from the tokens of training records, whose value columns at ``places`` are these."""
        self.fit(*(torch.cat([getattr(x, name)[:, list(places)] for x in rows]) for name in ("values", "observed")))

    def statistics(
        self, values: Float[Tensor, "*b v"], observed: Bool[Tensor, "*b v"], sample: Int[Tensor, " *b"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation that apply to each value, from what is visible only."""
        if not self.fitted:
            raise RuntimeError("the scales were never fitted: call fit() with training values, or load a checkpoint")
        mean, std = self.mean.expand_as(values), self.std.expand_as(values)
        chosen = [column.scale == "per_sample" for column in self.columns]
        if any(chosen):
            same = (sample.unsqueeze(-1) == sample.unsqueeze(-2)).to(values.dtype)
            count = (same @ observed.to(values.dtype)).clamp(min=1)
            own_mean = same @ values.where(observed, 0.0) / count
            spread = (values - own_mean).where(observed, 0.0) ** 2
            own_std = (same @ spread / count).sqrt()
            where = torch.tensor(chosen, device=values.device)
            mean = torch.where(where, own_mean, mean)
            # A sample of one value (or of equal ones) has no spread of its own: leave its differences as they are.
            std = torch.where(where, own_std.where(own_std > 0, 1.0), std)
        for j, parent in self.guesses:  # of a question too, which must not move the scale of the others
            place = torch.tensor([j], device=values.device)
            mean = mean.index_copy(-1, place, mean[..., parent : parent + 1])
            std = std.index_copy(-1, place, std[..., parent : parent + 1])
        return mean, std

    def forward(
        self, values: Float[Tensor, "*b v"], observed: Bool[Tensor, "*b v"], sample: Int[Tensor, " *b"]
    ) -> Float[Tensor, "*b v"]:
        """Normalised values; 0 where nothing was observed."""
        return self.normalised(values, observed, *self.statistics(values, observed, sample))

    def normalised(
        self,
        values: Float[Tensor, "*b v"],
        observed: Bool[Tensor, "*b v"],
        mean: Float[Tensor, "*b v"],
        std: Float[Tensor, "*b v"],
    ) -> Float[Tensor, "*b v"]:
        scaled = (values - mean) / std
        for j, parent in self.errors:
            size = (values[..., j] / std[..., parent]).clamp(min=self.SMALLEST_ERROR)
            scaled = scaled.index_copy(-1, torch.tensor([j], device=values.device), size.log().unsqueeze(-1))
        return scaled.where(observed, 0.0)
