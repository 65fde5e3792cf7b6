"""A property of every token: the secondary structure of each residue, read off the vector of its own token.

The truths are columns of the tokens that the backbone does not read (``Category.embedded``); where they are unknown,
nothing is scored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sciformer.adapter import DomainAdapter
from sciformer.distributions import FAMILIES, Categorical, Distribution, Family
from sciformer.heads import TokenHead
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.scale import Standardizer
from sciformer.tasks.base import Problem, PropertyTask
from sciformer.tokens import Batch, Example, Target


class TokenProperty(PropertyTask):
    """Any mix of classes and numbers of every token, one ``TokenHead`` for all of them."""

    def __init__(self, config: SciformerConfig, adapter: DomainAdapter, family: Family = "gaussian"):
        super().__init__()
        self.targets, self.modality, self.family = tuple(adapter.token_targets), adapter.name, family
        if not self.targets:
            raise ValueError(f"{adapter.name!r} has no answers per token; name columns of labels")
        columns = [column.name for column in adapter.schema.ids]
        self.ids = {t.name: columns.index(t.name) for t in self.targets if t.classes}
        numbers = [t for t in self.targets if not t.classes]
        self.values = [adapter.schema.place(t.name) for t in numbers]
        self.scale = Standardizer([adapter.schema.values[j] for j in self.values])
        self.sizes = [len(t.classes) or len(FAMILIES[family].raw_normal()) for t in self.targets]
        self.head = TokenHead(config, sum(self.sizes))

    @property
    def answers(self) -> tuple[Target, ...]:
        return self.targets

    def fit(self, examples: Sequence[Example]) -> None:
        """Raises ``ValueError`` for a label that is never known in the training part, or a number that is always the
        same."""
        for name, j in self.ids.items():
            if not any((example.tokens[self.modality].ids[:, j] > 0).any() for example in examples):
                raise ValueError(f"label {name!r} has no known value in the training part: nothing to learn; drop it")
        self.scale.fit_to((example.tokens[self.modality] for example in examples), self.values)

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        tokens = batch.tokens[self.modality]
        truth = {name: tokens.ids[..., j].flatten() - 1 for name, j in self.ids.items()}
        known = {name: tokens.ids[..., j].flatten() > 0 for name, j in self.ids.items()}
        for column, j in zip(self.scale.columns, self.values, strict=True):
            truth[column.name] = tokens.values[..., j].flatten()
            known[column.name] = tokens.observed[..., j].flatten()
        return Problem(given=batch.tokens, place=batch.place, truth=truth, known=known)

    def forward(self, model: Sciformer, problem: Problem) -> Mapping[str, Distribution]:
        """An answer per target over the tokens of all rows laid end to end, numbers in units of their spread."""
        raw = self.head(model(problem.given)).flatten(0, 1).float().split(self.sizes, dim=-1)
        return {target.name: self._answer(target, x) for target, x in zip(self.targets, raw, strict=True)}

    def _answer(self, target: Target, raw: Float[Tensor, "m outputs"]) -> Distribution:
        return Categorical.from_raw(raw) if target.classes else FAMILIES[self.family].from_raw(raw)

    def score(self, answer: Mapping[str, Distribution], problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """Mean loss over all known labels of all tokens."""
        losses = []
        for name, truth in problem.truth.items():
            if name in self.scales:
                mean, std = self.scales[name]
                truth = (truth - mean) / std
            known = problem.known[name]
            losses.append(answer[name].loss(truth.where(known, 0).float())[known])
        every = torch.cat(losses)
        return {"loss": every.sum() / max(1, len(every))}

    def empty(self, target: Target) -> Distribution:
        """The answer to no token."""
        return self._answer(target, torch.zeros(0, self.sizes[self.targets.index(target)]))

    def to_json(self) -> dict[str, Any]:
        return {"name": "token_property", "modality": self.modality, "family": self.family}

    @classmethod
    def from_json(cls, config: SciformerConfig, spec: Mapping[str, Any], adapter: DomainAdapter) -> "TokenProperty":
        return cls(config, adapter, spec["family"])
