"""Forecasting and imputation: given observations, what would be measured at other times (and bands)?

A question is a token whose place is known and of which nothing is measured. Training makes questions of its own: it
hides all observations after a random moment (a forecast) or some anywhere (an imputation), so one model answers both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sciformer.adapter import SeriesAdapter
from sciformer.distributions import FAMILIES, Family, Real, take
from sciformer.heads import QueryHead
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.scale import Standardizer
from sciformer.tasks.base import Problem, Task
from sciformer.tokens import AXES, Batch, Example, Schema, Target, Tokens

TIME = AXES.index("time")
CUT = (0.1, 0.9)
"""Share of the time of a record before the moment after which all is hidden, at least and at most."""


class Forecast(Task):
    """What a domain is asked about (``SeriesAdapter.asked``) at places where it is not observed, in its own units.

    The answers are distributions of one ``family`` for what the object does. A measurement scatters around it by its
    own error, which widens the answer that is scored and is never part of the question. A token that holds several
    steps is answered at once.
    """

    READINGS: ClassVar[int] = 2
    """How often a question reads the context: first what is near, then what that means."""

    BLIND: ClassVar[float] = 0.3
    """Share of the training rows in which a kind (a band, a variable) is hidden but for a few observations."""

    FEW: ClassVar[int] = 5
    """At most so many are left of it."""

    PRIOR: ClassVar[float] = 2.0
    """Observations' worth of belief that a kind scatters as much as its record."""

    def __init__(
        self,
        config: SciformerConfig,
        adapter: SeriesAdapter,
        future: float = 0.7,
        cut: Sequence[float | int] = CUT,
        family: Family = "gaussian",
        *,
        apart: bool = False,
    ):
        super().__init__()
        if not 0 <= future <= 1:
            raise ValueError(f"the share of forecasts among the questions must lie in 0..1, got {future}")
        schema, self.asked = adapter.schema, list(adapter.asked)
        if not set(self.asked) <= set(schema.measured) or schema.values[self.asked[0]].error_of:
            raise ValueError(f"{adapter.name!r} has no value column to forecast")
        if not 0 <= cut[0] <= cut[1] <= 1:
            raise ValueError(f"the moments after which all is hidden must rise within 0..1, got {cut}")
        self.adapter, self.modality, self.future, self.cut = adapter, adapter.name, future, tuple(cut)
        self.apart = apart
        self.measured = list(schema.measured)
        self.given = [j for j, column in enumerate(schema.values) if column.given]
        names = [schema.values[j].name for j in self.asked]
        guesses = [_whose(schema, "guess_of", name, derived=True) for name in names]
        doubts = [None if j is None else _whose(schema, "error_of", schema.values[j].name) for j in guesses]
        self.error = _whose(schema, "error_of", names[0])
        self.guess = [j for j in guesses if j is not None]
        self.doubt = [j for j in doubts if j is not None]
        if len(self.asked) > 1 and len(self.doubt) < len(self.asked):
            raise ValueError(f"{adapter.name!r} asks about several columns, each of which needs a guess and its error")
        self.scale = Standardizer([schema.values[j] for j in self.asked])
        self.heads = nn.ModuleList(QueryHead(config, extensive=False) for _ in range(self.READINGS))
        self.family: Family = family
        self.readout = nn.Linear(config.width, len(self.kind.raw_normal()) * len(self.asked))
        self._start_from_the_guess()

    def _start_from_the_guess(self) -> None:
        """Before it has learned anything the model answers what answers start from (``level``), with its spread."""
        nn.init.zeros_(self.readout.weight)
        with torch.no_grad():
            self.readout.bias.view(len(self.asked), -1).copy_(self.kind.raw_normal())

    @property
    def kind(self) -> type[Real]:
        """What an answer is."""
        return FAMILIES[self.family]

    @property
    def answers(self) -> tuple[Target, ...]:
        return self.adapter.quantities

    def fit(self, examples: Sequence[Example]) -> None:
        if not self.doubt:
            self.scale.fit_to((example.tokens[self.modality] for example in examples), self.asked)

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        """Ask wherever nothing is measured; with ``rng`` (training) also where it chooses to hide what is. Whatever
        follows from the measurements is then derived again from those that are left."""
        tokens = batch.tokens[self.modality]
        asked = tokens.exists & ~tokens.observed[..., self.measured].any(-1)
        hidden = tokens
        if rng is not None:
            asked = asked | self.chosen(tokens, rng)
            hidden = self.adapter.derive(blank(tokens, asked, self.given))
        mean, std = self.level(hidden)
        if self.apart:
            hidden = separated(hidden)
        error = torch.zeros_like(mean)
        if self.error is not None:
            error = tokens.values[..., [self.error]].where(tokens.observed[..., [self.error]], 0.0).expand_as(mean)
        # questions lie row by row and column by column, as the answers to them do
        truth = {"value": tokens.values[..., self.asked], "error": error, "mean": mean, "std": std}
        return Problem(
            given={**batch.tokens, self.modality: hidden.gather(hidden.exists & ~asked)},
            place=batch.place,
            asked=hidden.gather(asked),
            truth={name: x[asked].flatten() for name, x in truth.items()},
            known={"value": (tokens.observed[..., self.asked] & (std > 0))[asked].flatten()},
        )

    def level(self, tokens: Tokens) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b n k"]]:
        """What an answer starts from: a classical guess with its error, if the domain has both; else the guess, or the
        mean of what is visible of the same record and kind (a band), else of the record, and the spread around it."""
        if self.doubt:
            return tokens.values[..., self.guess], tokens.values[..., self.doubt]
        values, observed = tokens.values[..., self.asked], tokens.observed[..., self.asked]
        mean, std = self.scale.statistics(values, observed, tokens.sample)
        if self.scale.columns[0].scale != "per_sample":
            return mean, std
        record = (tokens.sample.unsqueeze(-1) == tokens.sample.unsqueeze(-2)).to(values.dtype)
        kind = record * (tokens.ids.unsqueeze(-2) == tokens.ids.unsqueeze(-3)).all(-1)
        seen = observed.to(values.dtype)
        count = kind @ seen
        own = (kind @ (values * seen) / count.clamp(min=1)).where(count > 0, mean)
        if self.guess:
            own = tokens.values[..., self.guess].where(tokens.observed[..., self.guess], own)
        # Few points lie close to their own mean: degrees of freedom, and the record's spread counts as PRIOR of them.
        square = record @ ((values - own) ** 2 * seen)
        freedom = record @ (seen * (1 - 1 / count.clamp(min=1)))
        around = ((square + self.PRIOR * std**2) / (freedom + self.PRIOR)).sqrt()
        # Of a kind that is hardly seen hardly anything is known, however well the others are fitted.
        return own, torch.hypot(around, std * self.PRIOR / (count + self.PRIOR))

    def chosen(self, tokens: Tokens, rng: torch.Generator) -> Bool[Tensor, "b n"]:
        """Observations to hide, row by row: the end or gaps, and in some rows a kind besides."""
        return self.unseen(tokens, self.end_or_gaps(tokens, rng), rng)

    def end_or_gaps(self, tokens: Tokens, rng: torch.Generator) -> Bool[Tensor, "b n"]:
        """All after a random moment, or a random share anywhere."""
        seen, time = tokens.observed[..., self.asked].any(-1), tokens.coords[..., TIME]
        draw = torch.rand(tokens.sample.shape, generator=rng).to(time.device)
        cut, share, kind = torch.rand(3, len(time), 1, generator=rng).to(time.device)
        start = time.masked_fill(~seen, torch.inf).amin(-1, keepdim=True)
        end = time.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True)
        first, last = self.cut
        late = time > start + (first + (last - first) * cut) * (end - start)
        return seen & torch.where(kind < self.future, late, draw < 0.1 + 0.6 * share)

    def unseen(self, tokens: Tokens, hidden: Bool[Tensor, "b n"], rng: torch.Generator) -> Bool[Tensor, "b n"]:
        """What is hidden, and in some rows all observations of one kind but up to FEW, if others are left."""
        seen = tokens.observed[..., self.asked].any(-1)
        draw = torch.rand(tokens.sample.shape, generator=rng).to(seen.device)
        chance, few = torch.rand(2, len(seen), 1, generator=rng).to(seen.device)
        one = draw.masked_fill(~seen, -1.0).argmax(-1)
        same = seen & (tokens.ids == tokens.ids[torch.arange(len(one)), one].unsqueeze(1)).all(-1)
        rank = draw.masked_fill(~same, 2.0).argsort(-1).argsort(-1)
        both = hidden | (same & (rank >= (few * (self.FEW + 1)).floor()))
        left = (seen & ~same & ~both).any(-1, keepdim=True)
        return torch.where((chance < self.BLIND) & left, both, hidden)

    def forward(self, model: Sciformer, problem: Problem) -> Real:
        """An answer per question and column, ``[questions * k]``, in spreads of what is visible of its record:
        1. read what is given; 2. state the questions; 3. let them read; 4. answer."""
        assert problem.asked is not None
        encoded = model(problem.given)
        asked, angles = problem.asked, model.rotary([self.modality]).angles(problem.asked.coords)
        x = model.embedders[self.modality](asked)
        for head in self.heads:
            x = head(x, asked.sample, encoded, angles)
        raw = self.readout(x[asked.exists]).float()
        return self.kind.from_raw(raw.reshape(-1, raw.shape[-1] // len(self.asked)))

    def weights(self, model: Sciformer, batch: Batch) -> Float[Tensor, "b n"]:
        """How much of its reading each row spends on each token that is given: the mean over heads, questions and
        readings."""
        problem = self.pose(batch)
        assert problem.asked is not None
        encoded, asked = model(problem.given), problem.asked
        angles, x = model.rotary([self.modality]).angles(asked.coords), model.embedders[self.modality](asked)
        total = torch.zeros_like(encoded.states[..., 0])
        for head in self.heads:
            assert isinstance(head, QueryHead)
            read = head.weights(x, asked.sample, encoded, angles).mean(1)
            total = total + (read * asked.exists.unsqueeze(-1)).sum(1)
            x = head(x, asked.sample, encoded, angles)
        return total / (len(self.heads) * asked.exists.sum(-1, keepdim=True).clamp(min=1))

    def score(self, answer: Real, problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """The proper score of the family for the measurements, whose own errors widen the answer."""
        known = problem.known["value"]
        value, error, mean, std = (problem.truth[name][known] for name in ("value", "error", "mean", "std"))
        losses = take(answer, known).widened(error / std).loss((value - mean) / std)
        return {"loss": losses.sum() / max(1, len(losses))}

    def predict(self, model: Sciformer, batch: Batch) -> Real:
        """The answers to all columns of all questions of a batch, row by row, in the unit of the values."""
        problem = self.pose(batch)
        return self(model, problem).affine(problem.truth["mean"], problem.truth["std"])

    def empty(self) -> Real:
        """The answer to no question."""
        return self.kind.from_raw(torch.zeros(0, len(self.kind.raw_normal())))

    def to_json(self) -> dict[str, Any]:
        kept = {"modality": self.modality, "future": self.future, "cut": list(self.cut), "family": self.family}
        return {"name": "forecast", **kept, "apart": self.apart}

    @classmethod
    def from_json(cls, config: SciformerConfig, spec: Mapping[str, Any], adapter: SeriesAdapter) -> "Forecast":
        family, apart = spec.get("family", "gaussian"), spec.get("apart", False)
        return cls(config, adapter, spec["future"], spec["cut"], family, apart=apart)


def separated(tokens: Tokens) -> Tokens:
    """Every kind of every record as if it were a record of its own: tokens read those of their own kind alone
    (channel independence; Nie et al. 2023, arXiv:2211.14730)."""
    kind = tokens.ids[..., 0].to(tokens.sample)
    return tokens.replace(sample=(tokens.sample * (kind.max() + 1) + kind).where(tokens.exists, tokens.sample))


def blank(tokens: Tokens, where: Bool[Tensor, "*b n"], given: Sequence[int]) -> Tokens:
    """Wipe what was measured at the chosen tokens and keep their place, to which the categories belong (the band), and
    the columns that are ``given`` beforehand: what is left is a question."""
    gone = where.unsqueeze(-1).repeat_interleave(tokens.values.shape[-1], -1)
    gone[..., list(given)] = False
    return tokens.replace(values=tokens.values.masked_fill(gone, 0.0), observed=tokens.observed & ~gone)


def _whose(schema: Schema, relation: str, name: str, *, derived: bool = False) -> int | None:
    """The place of the value column that is the error, or the (derived) guess, of the one of that name."""
    found = (j for j, x in enumerate(schema.values) if getattr(x, relation) == name and (x.derived or not derived))
    return next(found, None)
