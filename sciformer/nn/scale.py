"""Normalisation inside the model: physical units go in, physical units come out."""

from collections.abc import Iterable, Sequence
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
        self._fit([(values, observed)])

    def fit_to(self, rows: Iterable[Tokens], places: Sequence[int]) -> None:
        """The same from the tokens of training records, whose value columns at ``places`` are these, one by one."""
        columns = list(places)
        self._fit((x.values[:, columns], x.observed[:, columns]) for x in rows)

    def _fit(self, parts: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Moments are joined part by part (Chan, Golub & LeVeque 1983, Am. Stat. 37, 242, eq. 2.1)."""
        chosen = [j for j, column in enumerate(self.columns) if self._fixed(column)]
        count, mean, square, largest = torch.zeros(4, len(chosen), dtype=torch.float64)
        for values, observed in parts if chosen else ():
            seen = observed[:, chosen]
            x = values[:, chosen].double().where(seen, 0.0)
            n = seen.sum(0).double()
            own = x.sum(0) / n.clamp(min=1)
            away, whole = own - mean, (count + n).clamp(min=1)
            square += ((x - own).where(seen, 0.0) ** 2).sum(0) + away**2 * count * n / whole
            mean += away * n / whole
            count += n
            if len(x):
                largest = torch.maximum(largest, x.abs().amax(0))
        std = (square / (count - 1).clamp(min=1)).sqrt()
        for i, j in enumerate(chosen):
            if count[i] < 2 or not std[i] > 1e-12 * largest[i]:
                what = f"is always {mean[i]:g}" if count[i] else "has no known value"
                raise ValueError(
                    f"column {self.columns[j].name!r} {what} in the training part: nothing to learn; drop it"
                )
            self.mean[j], self.std[j] = mean[i], std[i]
        self.fitted.fill_(True)

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
