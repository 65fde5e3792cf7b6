"""Forecasting and imputation: given observations, what would be measured at other times (and bands)?

A question is a token whose place is known and of which nothing is measured. Training makes questions of its own: it
hides all observations after a random moment (a forecast) or some anywhere (an imputation), so one model answers both.
"""

from collections.abc import Mapping
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
from sciformer.tokens import AXES, PADDING, Batch, Tokens

TIME = AXES.index("time")


class Forecast(Task):
    """The first value column of one domain at places where it is not observed, in the record's own unit.

    The answer is a Gaussian for what the object does. A measurement scatters around it by its own error, which
    widens the likelihood and is never part of the question.
    """

    READINGS: ClassVar[int] = 2
    """How often a question reads the context: first what is near, then what that means."""

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
        self.scale = Standardizer(schema.values[:1])
        self.heads = nn.ModuleList(QueryHead(config, extensive=False) for _ in range(self.READINGS))
        self.readout = nn.Linear(config.width, 2)

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        """Ask wherever nothing is measured; with ``rng`` (training) also where it chooses to hide what is. Whatever
        follows from the measurements is derived again from those that are left."""
        tokens = batch.tokens[self.modality]
        asked = tokens.exists & ~tokens.observed[..., self.measured].any(-1)
        if rng is not None:
            asked = asked | self.chosen(tokens, rng)
        hidden = self.adapter.derive(blank(tokens, asked))
        mean, std = self.scale.statistics(hidden.values[..., :1], hidden.observed[..., :1], hidden.sample)
        truth = {"value": tokens.values[..., 0], "mean": mean[..., 0], "std": std[..., 0]}
        truth["error"] = torch.zeros_like(truth["value"])
        if self.error is not None:
            truth["error"] = tokens.values[..., self.error].where(tokens.observed[..., self.error], 0.0)
        return Problem(
            given={**batch.tokens, self.modality: hidden.keep(hidden.exists & ~asked)},
            place=batch.place,
            asked=hidden.replace(sample=hidden.sample.masked_fill(~asked, PADDING)),
            truth=truth,
            known={"value": asked & tokens.observed[..., 0]},
        )

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
        assert problem.asked is not None
        where = problem.asked.exists
        value, error, mean, std = (problem.truth[name][where] for name in ("value", "error", "mean", "std"))
        known = problem.known["value"][where]
        spread = torch.hypot(answer.std, error / std)
        losses = Gaussian(answer.mean, spread).loss((value - mean) / std)[known]
        return {"loss": losses.sum() / max(1, len(losses))}

    def predict(self, model: Sciformer, batch: Batch) -> Gaussian:
        """The answers to all questions of a batch, row by row, in the unit of the values."""
        problem = self.pose(batch)
        assert problem.asked is not None
        where = problem.asked.exists
        mean, std = (problem.truth[name][where] for name in ("mean", "std"))
        answer = self(model, problem)
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
