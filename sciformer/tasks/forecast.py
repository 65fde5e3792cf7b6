"""Forecasting and imputation: given observations, what would be measured at other times (and bands)?

A question is a token whose place is known and of which nothing is measured. Training makes questions of its own: it
hides all observations after a random moment (a forecast) or some anywhere (an imputation), so one model answers both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sciformer.adapter import DomainAdapter
from sciformer.distributions import Gaussian
from sciformer.heads import QueryHead
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.scale import Standardizer
from sciformer.tasks.base import Problem, Task
from sciformer.tokens import AXES, Batch, Example, Target, Tokens

TIME = AXES.index("time")


class Forecast(Task):
    """The first value column of one domain at places where it is not observed, in the record's own unit.

    The answer is a Gaussian for what the object does. A measurement scatters around it by its own error, which
    widens the likelihood and is never part of the question.
    """

    READINGS: ClassVar[int] = 2
    """How often a question reads the context: first what is near, then what that means."""

    PRIOR: ClassVar[float] = 2.0
    """Observations' worth of belief that a kind scatters as much as its record."""

    def __init__(self, config: SciformerConfig, adapter: DomainAdapter, future: float = 0.7):
        super().__init__()
        if not 0 <= future <= 1:
            raise ValueError(f"the share of forecasts among the questions must lie in 0..1, got {future}")
        schema = adapter.schema
        if 0 not in schema.measured or schema.values[0].error_of:
            raise ValueError(f"{adapter.name!r} has no value column to forecast")
        self.adapter, self.modality, self.future = adapter, adapter.name, future
        self.measured = list(schema.measured)
        names = [column.error_of for column in schema.values]
        self.error = names.index(schema.values[0].name) if schema.values[0].name in names else None
        guesses = [column.guess_of for column in schema.values]
        self.guess = guesses.index(schema.values[0].name) if schema.values[0].name in guesses else None
        self.scale = Standardizer(schema.values[:1])
        self.heads = nn.ModuleList(QueryHead(config, extensive=False) for _ in range(self.READINGS))
        self.readout = nn.Linear(config.width, 2)

    @property
    def answers(self) -> tuple[Target, ...]:
        return tuple(Target(column.name, unit=column.unit) for column in self.scale.columns)

    def fit(self, examples: Sequence[Example]) -> None:
        self.scale.fit_to([example.tokens[self.modality] for example in examples], [0])

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        """Ask wherever nothing is measured; with ``rng`` (training) also where it chooses to hide what is. Whatever
        follows from the measurements is then derived again from those that are left."""
        tokens = batch.tokens[self.modality]
        asked = tokens.exists & ~tokens.observed[..., self.measured].any(-1)
        hidden = tokens
        if rng is not None:
            asked = asked | self.chosen(tokens, rng)
            hidden = self.adapter.derive(blank(tokens, asked))
        mean, std = self.level(hidden)
        error = torch.zeros_like(mean)
        if self.error is not None:
            error = tokens.values[..., self.error].where(tokens.observed[..., self.error], 0.0)
        # questions lie row by row, as the answers to them do
        truth = {"value": tokens.values[..., 0], "error": error, "mean": mean, "std": std}
        return Problem(
            given={**batch.tokens, self.modality: hidden.gather(hidden.exists & ~asked)},
            place=batch.place,
            asked=hidden.gather(asked),
            truth={name: x[asked] for name, x in truth.items()},
            known={"value": tokens.observed[..., 0][asked]},
        )

    def level(self, tokens: Tokens) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
        """What an answer starts from: a classical guess, if the domain has one; else the mean of what is visible of the
        same record and kind (a band), else of the record; and the spread around it."""
        values, observed = tokens.values[..., 0], tokens.observed[..., 0]
        mean, std = (x[..., 0] for x in self.scale.statistics(values[..., None], observed[..., None], tokens.sample))
        if self.scale.columns[0].scale != "per_sample":
            return mean, std
        record = (tokens.sample.unsqueeze(-1) == tokens.sample.unsqueeze(-2)).to(values.dtype)
        kind = record * (tokens.ids.unsqueeze(-2) == tokens.ids.unsqueeze(-3)).all(-1)
        seen = observed.to(values.dtype).unsqueeze(-1)
        count = kind @ seen
        own = (kind @ (values.unsqueeze(-1) * seen) / count.clamp(min=1)).where(count > 0, mean.unsqueeze(-1))
        if self.guess is not None:
            known = tokens.observed[..., self.guess].unsqueeze(-1)
            own = tokens.values[..., self.guess].unsqueeze(-1).where(known, own)
        # Few points lie close to their own mean: degrees of freedom, and the record's spread counts as PRIOR of them.
        square = record @ ((values.unsqueeze(-1) - own) ** 2 * seen)
        freedom = record @ (seen * (1 - 1 / count.clamp(min=1)))
        around = ((square + self.PRIOR * std.unsqueeze(-1) ** 2) / (freedom + self.PRIOR)).sqrt()
        return own.squeeze(-1), around.squeeze(-1)

    def chosen(self, tokens: Tokens, rng: torch.Generator) -> Bool[Tensor, "b n"]:
        """Observations to hide, row by row: all after a random moment, or a random share anywhere."""
        seen, time = tokens.observed[..., 0], tokens.coords[..., TIME]
        draw = torch.rand(tokens.sample.shape, generator=rng).to(time.device)
        cut, share, kind = torch.rand(3, len(time), 1, generator=rng).to(time.device)
        start = time.masked_fill(~seen, torch.inf).amin(-1, keepdim=True)
        end = time.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True)
        late = time > start + (0.1 + 0.8 * cut) * (end - start)
        return seen & torch.where(kind < self.future, late, draw < 0.1 + 0.6 * share)

    def forward(self, model: Sciformer, problem: Problem) -> Gaussian:
        """An answer per question, ``[questions]``, in spreads of what is visible of its record:
        1. read what is given; 2. state the questions; 3. let them read; 4. answer."""
        assert problem.asked is not None
        encoded = model(problem.given)
        asked, angles = problem.asked, model.rotary.angles(problem.asked.coords)
        x = model.embedders[self.modality](asked)
        for head in self.heads:
            x = head(x, asked.sample, encoded, angles)
        return Gaussian.from_raw(self.readout(x[asked.exists]).float())

    def score(self, answer: Gaussian, problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """Negative log likelihood of the measurements, whose own errors widen the answer."""
        value, error, mean, std = (problem.truth[name] for name in ("value", "error", "mean", "std"))
        known = problem.known["value"]
        spread = torch.hypot(answer.std, error / std)
        losses = Gaussian(answer.mean, spread).loss((value - mean) / std)[known]
        return {"loss": losses.sum() / max(1, len(losses))}

    def predict(self, model: Sciformer, batch: Batch) -> Gaussian:
        """The answers to all questions of a batch, row by row, in the unit of the values."""
        problem = self.pose(batch)
        answer, mean, std = self(model, problem), problem.truth["mean"], problem.truth["std"]
        return Gaussian(mean + std * answer.mean, std * answer.std)

    def to_json(self) -> dict[str, Any]:
        return {"name": "forecast", "modality": self.modality, "future": self.future}

    @classmethod
    def from_json(cls, config: SciformerConfig, spec: Mapping[str, Any], adapter: DomainAdapter) -> "Forecast":
        return cls(config, adapter, spec["future"])


def blank(tokens: Tokens, where: Bool[Tensor, "*b n"]) -> Tokens:
    """Wipe what was measured at the chosen tokens and keep their place, to which the categories belong (the band):
    what is left is a question."""
    gone = where.unsqueeze(-1)
    return tokens.replace(values=tokens.values.masked_fill(gone, 0.0), observed=tokens.observed & ~gone)
