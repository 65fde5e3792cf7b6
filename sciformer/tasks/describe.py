"""Numbers about a whole record, all read off one answer: an objective of pretraining.

Descriptors that can be computed of every molecule teach a backbone more than hidden atoms do (CheMeleon: Burns
et al. 2025, arXiv:2506.15792). One question for all of them, because hundreds of questions would cost more than the
backbone; what it learns to read is where the questions of a property start from when a model is fine-tuned.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sciformer.heads import QueryHead, learned_questions
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.scale import Standardizer
from sciformer.tasks.base import Problem, Task
from sciformer.tokens import Batch, Example, Target, Value


class Describe(Task):
    """Squared error of numbers in their spreads, clipped to ``MOST`` of them: some descriptors have no bounds."""

    MOST: ClassVar[float] = 6.0

    def __init__(self, config: SciformerConfig, modality: str, names: Sequence[str], *, extensive: bool = True):
        super().__init__()
        if not names:
            raise ValueError(f"records of the domain {modality!r} have no descriptors to learn from")
        self.modality, self.names, self.extensive = modality, tuple(names), extensive
        self.questions = learned_questions(1, config)
        self.head = QueryHead(config, extensive=extensive)
        self.readout = nn.Linear(config.width, len(self.names))
        self.scale = Standardizer([Value(name) for name in self.names])

    @property
    def answers(self) -> tuple[Target, ...]:
        return tuple(Target(name) for name in self.names)

    def fit(self, examples: Sequence[Example]) -> None:
        """Raises ``ValueError`` for a descriptor that is never known or does not vary."""
        self.scale.fit(*self._table([example.targets for example in examples]))

    def _table(self, rows: Sequence[Mapping[str, float]]) -> tuple[Float[Tensor, "r t"], Bool[Tensor, "r t"]]:
        """Values, 0 where unknown, and what is known."""
        values = torch.tensor([[row.get(name, 0.0) for name in self.names] for row in rows], dtype=torch.float32)
        known = torch.tensor([[name in row for name in self.names] for row in rows])
        return values, known

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        truth = torch.stack([batch.targets[name] for name in self.names], -1)
        known = torch.stack([batch.known[name] for name in self.names], -1)
        return Problem(given=batch.tokens, place=batch.place, truth={"all": truth}, known={"all": known})

    def forward(self, model: Sciformer, problem: Problem) -> Float[Tensor, "r t"]:
        """In spreads: 1. read; 2. ask every record of a row the one question; 3. answer."""
        encoded = model(problem.given)
        rows, slots = len(encoded.sample), int(problem.place[:, 1].max()) + 1
        sample = torch.arange(slots, device=problem.place.device).expand(rows, -1)
        answers = self.head(self.questions.expand(rows, slots, -1), sample, encoded)
        row, slot = problem.place.T
        return self.readout(answers[row, slot]).float()

    def score(self, answer: Float[Tensor, "r t"], problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """The mean squared error, in spreads: 1 is that of the mean, 0 of the truth."""
        scaled = ((problem.truth["all"] - self.scale.mean) / self.scale.std).clamp(-self.MOST, self.MOST)
        error = (answer - scaled) ** 2
        known = problem.known["all"]
        return {"loss": error[known].sum() / known.sum().clamp(min=1)}

    def to_json(self) -> dict[str, Any]:
        return {
            "name": "describe",
            "modality": self.modality,
            "names": list(self.names),
            "extensive": self.extensive,
        }
