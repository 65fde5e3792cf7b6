"""What a head answers: a probability distribution per question, never a bare number."""

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor
from torch.nn import functional


class Distribution(abc.ABC):
    """An answer for each of ``b`` questions."""

    @abc.abstractmethod
    def loss(self, truth: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """The proper scoring rule that training minimises, one value per question."""

    @classmethod
    @abc.abstractmethod
    def mixture(cls, members: Sequence["Distribution"]) -> "Distribution":
        """The answer of an ensemble."""


class Real(Distribution):
    """A distribution over a real quantity. ``mean`` is the point answer."""

    mean: Float[Tensor, " b"]
    std: Float[Tensor, " b"]
    POINT: ClassVar[str]
    """What the point answer is."""

    @classmethod
    @abc.abstractmethod
    def from_raw(cls, raw: Float[Tensor, "b raw"]) -> "Real":
        """From the numbers that a network gives, in units of the target's spread."""

    @classmethod
    @abc.abstractmethod
    def raw_normal(cls) -> Float[Tensor, " raw"]:
        """What ``from_raw`` makes the standard normal distribution of."""

    @abc.abstractmethod
    def interval(self, level: float) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Central interval that should hold the truth with probability ``level``."""

    @classmethod
    @abc.abstractmethod
    def mixture(cls, members: Sequence["Real"]) -> "Real": ...

    @abc.abstractmethod
    def affine(self, shift: Float[Tensor, "*b"], factor: Float[Tensor, "*b"]) -> "Real":
        """The distribution of ``shift + factor * x``, for all or one by one; ``factor`` is positive."""

    @abc.abstractmethod
    def widened(self, error: Float[Tensor, " b"]) -> "Real":
        """The distribution of ``x`` measured with a Gaussian error of that standard deviation."""


@dataclass(frozen=True)
class Gaussian(Real):
    mean: Float[Tensor, " b"]
    std: Float[Tensor, " b"]

    POINT: ClassVar[str] = "mean"

    BETA: ClassVar[float] = 0.5
    """Weight of the variance in the loss: 0 is the plain likelihood, which learns the mean badly where
    it is unsure of it; 1 follows the squared error. Seitzer et al. 2022 (arXiv:2203.09168), beta-NLL."""

    MIN_STD: ClassVar[float] = 0.01
    """Floor in units of the target's spread, so that a memorised sample cannot make the loss unbounded."""

    @classmethod
    def from_raw(cls, raw: Float[Tensor, "b 2"]) -> "Gaussian":
        return cls(raw[:, 0], functional.softplus(raw[:, 1]) + cls.MIN_STD)

    @classmethod
    def raw_normal(cls) -> Float[Tensor, " 2"]:
        return torch.tensor([0.0, math.log(math.expm1(1 - cls.MIN_STD))])

    def loss(self, truth: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        nll = 0.5 * ((truth - self.mean) / self.std) ** 2 + self.std.log() + 0.5 * math.log(2 * math.pi)
        return nll * self.std.detach() ** (2 * self.BETA)

    def interval(self, level: float) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        z = math.sqrt(2) * torch.erfinv(torch.tensor(level, dtype=torch.float64)).item()
        return self.mean - z * self.std, self.mean + z * self.std

    def affine(self, shift: Float[Tensor, "*b"], factor: Float[Tensor, "*b"]) -> "Gaussian":
        return type(self)(shift + factor * self.mean, factor * self.std)

    def widened(self, error: Float[Tensor, " b"]) -> "Gaussian":
        return type(self)(self.mean, torch.hypot(self.std, error))

    @classmethod
    def mixture(cls, members: Sequence["Gaussian"]) -> "Gaussian":
        """Mean and variance of the mixture (Lakshminarayanan et al. 2017, section 2.4)."""
        means = torch.stack([member.mean for member in members])
        variance = torch.stack([member.std**2 for member in members]).mean(0) + means.var(0, correction=0)
        return cls(means.mean(0), variance.sqrt())


@dataclass(frozen=True)
class Quantiles(Real):
    """Values at the quantile levels ``LEVELS``, never crossing."""

    values: Float[Tensor, "b levels"]

    POINT: ClassVar[str] = "median"

    LEVELS: ClassVar[tuple[float, ...]] = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)

    @classmethod
    def from_raw(cls, raw: Float[Tensor, "b levels"]) -> "Quantiles":
        """The middle column is the median; the others are positive steps away from it."""
        middle = len(cls.LEVELS) // 2
        median = raw[:, middle : middle + 1]
        below = functional.softplus(raw[:, :middle]).flip(-1).cumsum(-1).flip(-1)
        above = functional.softplus(raw[:, middle + 1 :]).cumsum(-1)
        return cls(torch.cat([median - below, median, median + above], dim=-1))

    @classmethod
    def raw_normal(cls) -> Float[Tensor, " levels"]:
        steps = torch.special.ndtri(torch.tensor(cls.LEVELS)).diff().expm1().log()
        return torch.cat([steps[: len(steps) // 2], torch.zeros(1), steps[len(steps) // 2 :]])

    @property
    def mean(self) -> Float[Tensor, " b"]:
        """The median, the point answer of this family."""
        return self.values[:, len(self.LEVELS) // 2]

    @property
    def std(self) -> Float[Tensor, " b"]:
        """Half the central 68 % interval: the standard deviation, were it Gaussian."""
        lower, upper = self.interval(math.erf(math.sqrt(0.5)))
        return (upper - lower) / 2

    def loss(self, truth: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Pinball loss averaged over the levels, twice (Gneiting & Raftery 2007). Of even levels it would be the CRPS;
        of these, which lie closer in the tails, it is less."""
        error = truth.unsqueeze(-1) - self.values
        levels = self.values.new_tensor(self.LEVELS)
        return 2 * torch.maximum(levels * error, (levels - 1) * error).mean(-1)

    def interval(self, level: float) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        return self._at((1 - level) / 2), self._at((1 + level) / 2)

    def _at(self, p: float) -> Float[Tensor, " b"]:
        """Linear interpolation between the levels; the outermost ones beyond them."""
        levels = self.LEVELS
        right = min(max(1, sum(level < p for level in levels)), len(levels) - 1)
        share = min(max((p - levels[right - 1]) / (levels[right] - levels[right - 1]), 0.0), 1.0)
        return torch.lerp(self.values[:, right - 1], self.values[:, right], share)

    def affine(self, shift: Float[Tensor, "*b"], factor: Float[Tensor, "*b"]) -> "Quantiles":
        return type(self)(shift.unsqueeze(-1) + factor.unsqueeze(-1) * self.values)

    def widened(self, error: Float[Tensor, " b"]) -> "Quantiles":
        """In quadrature around the median, level by level: exact where the quantiles are those of a Gaussian."""
        median, z = self.mean.unsqueeze(-1), torch.special.ndtri(self.values.new_tensor(self.LEVELS))
        square = (self.values - median) ** 2 + (z * error.unsqueeze(-1)) ** 2
        return type(self)(median + z.sign() * square.clamp(min=1e-30).sqrt())  # no gradient is infinite

    @classmethod
    def mixture(cls, members: Sequence["Quantiles"]) -> "Quantiles":
        """Averaged quantiles (Vincentization)."""
        return cls(torch.stack([member.values for member in members]).mean(0))


@dataclass(frozen=True)
class Categorical(Distribution):
    """Classes; a yes-or-no question is the case of two."""

    log_probs: Float[Tensor, "b classes"]

    @classmethod
    def from_raw(cls, raw: Float[Tensor, "b raw"]) -> "Categorical":
        """One logit per class; a single one is the log odds of the second of two classes (Bernoulli)."""
        if raw.shape[-1] == 1:
            raw = torch.cat([torch.zeros_like(raw), raw], dim=-1)
        return cls(raw.log_softmax(-1))

    @property
    def probs(self) -> Float[Tensor, "b classes"]:
        return self.log_probs.exp()

    @property
    def mode(self) -> Integer[Tensor, " b"]:
        return self.log_probs.argmax(-1)

    def weighted(self, log_weights: Float[Tensor, " classes"]) -> "Categorical":
        """The same evidence where classes are more or less frequent by these factors (Bayes)."""
        return type(self)((self.log_probs + log_weights).log_softmax(-1))

    def loss(self, truth: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        return functional.nll_loss(self.log_probs, truth.long(), reduction="none")

    @classmethod
    def mixture(cls, members: Sequence["Categorical"]) -> "Categorical":
        return cls(torch.stack([member.log_probs for member in members]).logsumexp(0) - math.log(len(members)))


Family = Literal["gaussian", "quantile"]
FAMILIES: Mapping[str, type[Real]] = {"gaussian": Gaussian, "quantile": Quantiles}
"""What a real quantity can be answered with."""

D = TypeVar("D", bound=Distribution)


def join(parts: Sequence[D]) -> D:
    """The answers of several batches end to end, on the CPU."""
    return type(parts[0])(**{name: torch.cat([vars(part)[name] for part in parts]).cpu() for name in vars(parts[0])})


def take(answer: D, rows: Integer[np.ndarray, " m"] | Bool[Tensor, " b"]) -> D:
    """The answers to some of the questions, in this order."""
    return type(answer)(**{name: x[torch.as_tensor(rows)] for name, x in vars(answer).items()})
