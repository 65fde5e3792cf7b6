"""Property prediction: one learned question per property, answered by cross-attention."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sciformer.distributions import FAMILIES, Categorical, Distribution, Family
from sciformer.heads import QueryHead, learned_questions
from sciformer.model import Encoded, Sciformer, SciformerConfig
from sciformer.nn.scale import Standardizer
from sciformer.tasks.base import Problem, PropertyTask
from sciformer.tokens import Batch, Example, Target, Value


class Property(PropertyTask):
    """Any mix of regression, binary and multi-class targets; unknown labels take no part in the loss.

    With ``balance`` rare classes are answered as if they were less rare: 0 as frequent as in the training part, 1 all
    alike. The loss is that of the answers brought back to the frequencies met there (logit adjustment, Menon et al.
    2021, arXiv:2007.07314), so no record counts more than another.
    """

    def __init__(
        self,
        config: SciformerConfig,
        targets: Sequence[Target],
        family: Family = "gaussian",
        *,
        extensive: bool = True,
        balance: float = 0.0,
    ):
        super().__init__()
        if not 0 <= balance <= 1:
            raise ValueError(f"balance must lie in 0 (classes as frequent as they are) to 1 (all alike), got {balance}")
        self.balance = balance
        self.log_frequency: dict[str, Tensor] = {}
        self.targets, self.family, self.extensive = tuple(targets), family, extensive
        self.questions = learned_questions(len(self.targets), config)
        self.head = QueryHead(config, extensive=extensive)
        self.readouts = nn.ModuleList(nn.Linear(config.width, self._outputs(target)) for target in self.targets)
        self.scale = Standardizer([Value(t.name, t.unit) for t in self.targets if t.kind == "regression"])

    def _outputs(self, target: Target) -> int:
        if target.kind == "regression":
            return len(FAMILIES[self.family].raw_normal())
        return 1 if target.kind == "binary" else len(target.classes)

    def _answer(self, target: Target, raw: Float[Tensor, "b outputs"]) -> Distribution:
        if target.kind == "regression":
            return FAMILIES[self.family].from_raw(raw)
        return Categorical.from_raw(raw)

    @property
    def answers(self) -> tuple[Target, ...]:
        return self.targets

    def fit(self, examples: Sequence[Example]) -> None:
        names = [column.name for column in self.scale.columns]
        values = torch.tensor([[float(e.targets.get(name, 0.0)) for name in names] for e in examples])
        known = torch.tensor([[name in e.targets for name in names] for e in examples], dtype=torch.bool)
        shape = len(examples), len(names)  # -1 would be ambiguous where no target is a regression
        self.scale.fit(values.reshape(shape), known.reshape(shape))
        for target in self.targets:
            if target.classes:
                met = [int(e.targets[target.name]) for e in examples if target.name in e.targets]
                counts = torch.bincount(torch.tensor(met, dtype=torch.long), minlength=len(target.classes))
                self.log_frequency[target.name] = (counts.clamp(min=1) / max(1, len(met))).log()

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        return Problem(given=batch.tokens, place=batch.place, truth=batch.targets, known=batch.known)

    def ask(self, encoded: Encoded, place: Int[Tensor, "r 2"]) -> tuple[Float[Tensor, "b q d"], Int[Tensor, "b q"]]:
        """All questions for every record of a row, and the record that each is about."""
        rows, t = encoded.sample.shape[0], len(self.targets)
        slots = int(place[:, 1].max()) + 1
        sample = torch.arange(slots, device=place.device).expand(rows, -1).repeat_interleave(t, dim=1)
        return self.questions.repeat(slots, 1).expand(rows, -1, -1), sample

    def forward(self, model: Sciformer, problem: Problem) -> Mapping[str, Distribution]:
        """Distributions per target, in units of the target's spread: 1. read; 2. ask; 3. answer."""
        encoded = model(problem.given)
        answers = self.head(*self.ask(encoded, problem.place), encoded)
        row, slot = problem.place.T
        answers = answers.unflatten(1, (-1, len(self.targets)))[row, slot]
        return {
            target.name: self._answer(target, readout(answers[:, j]).float())
            for j, (target, readout) in enumerate(zip(self.targets, self.readouts, strict=True))
        }

    def score(self, answer: Mapping[str, Distribution], problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """Mean loss over all known labels."""
        losses = []
        for name, truth, known in self._known(problem):
            if name in self.scales:
                mean, std = self.scales[name]
                truth = (truth - mean) / std
            losses.append(self._as_met(name, answer[name]).loss(truth)[known])
        every = torch.cat(losses)
        return {"loss": every.sum() / max(1, len(every))}

    def _as_met(self, name: str, answer: Distribution) -> Distribution:
        """The answer where classes are as frequent as in the training part."""
        if not self.balance or not isinstance(answer, Categorical):
            return answer
        return answer.weighted(self.balance * self.log_frequency[name].to(answer.log_probs))

    @staticmethod
    def _known(problem: Problem) -> list[tuple[str, Tensor, Tensor]]:
        return [(name, problem.truth[name], problem.known[name]) for name in problem.truth]

    def empty(self, target: Target) -> Distribution:
        """The answer to no record."""
        return self._answer(target, torch.zeros(0, self._outputs(target)))

    def attention(self, model: Sciformer, batch: Batch) -> Float[Tensor, "r t n"]:
        """How much each property reads from each token of the record's row, averaged over heads; sums to 1."""
        encoded = model(batch.tokens)
        weights = self.head.weights(*self.ask(encoded, batch.place), encoded).mean(1)
        row, slot = batch.place.T
        return weights.unflatten(1, (-1, len(self.targets)))[row, slot]

    def to_json(self) -> dict[str, Any]:
        targets = [{**dataclasses.asdict(t), "classes": list(t.classes)} for t in self.targets]
        return {"name": "property", "family": self.family, "extensive": self.extensive, "targets": targets}

    @classmethod
    def from_json(cls, config: SciformerConfig, spec: Mapping[str, Any]) -> "Property":
        targets = [Target(**{**t, "classes": tuple(t["classes"])}) for t in spec["targets"]]
        return cls(config, targets, spec["family"], extensive=spec.get("extensive", True))
