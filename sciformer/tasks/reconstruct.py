"""Masked columns: hide the content of some tokens and ask for it back (Devlin et al. 2019, arXiv:1810.04805).

The schema says what there is to ask: a class per categorical column, a Gaussian per measured value column. Pairs stay
visible, for they are the place of a token and not its content. Derived columns are blank: they were made with what is
now hidden.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sciformer.distributions import Categorical, Distribution, Gaussian
from sciformer.heads import TokenHead
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.scale import Standardizer
from sciformer.tasks.base import Problem, Task
from sciformer.tokens import Batch, Example, Schema, Target


class Reconstruct(Task):
    """Reconstruction of one modality's tokens; ``share`` of them are hidden."""

    def __init__(self, config: SciformerConfig, schema: Schema, modality: str, share: float = 0.15):
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"the share of hidden tokens must lie in (0, 1), got {share}")
        self.schema, self.modality, self.share = schema, modality, share
        self.measured = list(schema.measured)
        self.columns = tuple(schema.values[j] for j in self.measured)
        self.seen = [j for j, column in enumerate(schema.ids) if column.embedded]
        self.categories = tuple(schema.ids[j] for j in self.seen)
        self.sizes = [*(column.size for column in self.categories), *(2 for _ in self.columns)]
        self.head = TokenHead(config, sum(self.sizes))
        self.scale = Standardizer(self.columns)

    @property
    def answers(self) -> tuple[Target, ...]:
        return tuple(Target(column.name, unit=column.unit) for column in self.columns)

    def fit(self, examples: Sequence[Example]) -> None:
        self.scale.fit_to((example.tokens[self.modality] for example in examples), self.measured)

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        """Hide tokens at random, at least one of every row."""
        tokens = batch.tokens[self.modality]
        draw = torch.rand(tokens.sample.shape, generator=rng).to(tokens.sample.device)
        draw = draw.masked_fill(~tokens.exists, torch.inf)
        return self.hiding(batch, (draw < self.share) | (draw == draw.amin(-1, keepdim=True)) & tokens.exists)

    def hiding(self, batch: Batch, hidden: Bool[Tensor, "b n"]) -> Problem:
        """The problem of filling in the tokens of this modality that are chosen to be hidden."""
        tokens = batch.tokens[self.modality]
        derived = torch.ones(tokens.values.shape[-1], dtype=torch.bool, device=tokens.values.device)
        derived[self.measured] = False
        bare = tokens.replace(values=tokens.values.masked_fill(derived, 0.0), observed=tokens.observed & ~derived)
        given = {**batch.tokens, self.modality: bare.hide(hidden)}
        truth = {"ids": tokens.ids[..., self.seen], "values": tokens.values[..., self.measured]}
        known = {"ids": hidden, "values": hidden.unsqueeze(-1) & tokens.observed[..., self.measured]}
        return Problem(given=given, place=batch.place, asked=given[self.modality], truth=truth, known=known)

    def forward(self, model: Sciformer, problem: Problem) -> Mapping[str, Distribution]:
        """A distribution per column over the tokens of all rows laid end to end, values in units of their spread."""
        encoded = model(problem.given)
        start = 0
        for name, tokens in problem.given.items():  # modalities lie side by side, in this order
            if name == self.modality:
                break
            start += tokens.size
        assert problem.asked is not None
        raw = self.head(encoded)[:, start : start + problem.asked.size].flatten(0, 1).float()
        columns = raw.split(self.sizes, dim=-1)
        ids = {c.name: Categorical.from_raw(x) for c, x in zip(self.categories, columns, strict=False)}
        values = columns[len(self.categories) :]
        return ids | {c.name: Gaussian.from_raw(x) for c, x in zip(self.columns, values, strict=True)}

    def score(self, answer: Mapping[str, Distribution], problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """Mean loss over the hidden columns, 0 where nothing of them was measured, and the share of hidden categories
        that the likeliest answer meets."""
        losses, hits = [], []
        where = problem.known["ids"].flatten()
        for j, column in enumerate(self.categories):
            truth = problem.truth["ids"][..., j].flatten()
            losses.append(answer[column.name].loss(truth.float())[where])
            found = answer[column.name]
            assert isinstance(found, Categorical)
            hits.append((found.mode == truth)[where].float())
        if self.columns:
            assert problem.asked is not None
            mean, std = self.scale.statistics(
                problem.asked.values[..., self.measured],
                problem.asked.observed[..., self.measured],
                problem.asked.sample,
            )
            scaled = (problem.truth["values"] - mean) / std
            for j, column in enumerate(self.columns):
                seen = problem.known["values"][..., j].flatten()
                losses.append(answer[column.name].loss(scaled[..., j].flatten())[seen])
        lost = torch.cat(losses)
        scores = {"loss": lost.sum() / max(1, len(lost))}
        return scores | ({"accuracy": torch.cat(hits).mean()} if hits else {})

    def to_json(self) -> dict[str, Any]:
        return {"name": "reconstruct", "modality": self.modality, "share": self.share}
