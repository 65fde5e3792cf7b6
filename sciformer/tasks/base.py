"""The contract of a task: pose -> answer -> score."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sciformer.distributions import Distribution, Real
from sciformer.model import Sciformer
from sciformer.nn.scale import Standardizer
from sciformer.tokens import Batch, Example, Target, Tokens


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What the model is given, what it is asked, and the truth that it does not see."""

    given: Mapping[str, Tokens]
    place: Int[Tensor, "r 2"]
    """Row and ``sample`` id of every record."""
    asked: Tokens | None = None
    truth: Mapping[str, Tensor] = field(default_factory=dict)
    known: Mapping[str, Tensor] = field(default_factory=dict)
    task: str = ""
    """Of several, the one whose problem it is."""


class Task(nn.Module, abc.ABC):
    """Owns its head. ``rng`` is a stream of its own per step, so that a step can be repeated exactly."""

    @property
    @abc.abstractmethod
    def answers(self) -> tuple[Target, ...]:
        """What is answered, with units."""

    @abc.abstractmethod
    def fit(self, examples: Sequence[Example]) -> None:
        """Take the scales of the answers from the training part.

        Raises ``ValueError`` for a column that is never known or does not vary there.
        """

    @abc.abstractmethod
    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem: ...

    @abc.abstractmethod
    def forward(self, model: Sciformer, problem: Problem) -> Any: ...

    @abc.abstractmethod
    def score(self, answer: Any, problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """Scalars to report; ``loss`` is the one to minimise."""

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain description from which the checkpoint rebuilds the task."""


class PropertyTask(Task, abc.ABC):
    """Answers by target; numbers are learned in units of their spread."""

    scale: Standardizer
    """Of the numbers among the targets."""

    @property
    def scales(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of every number."""
        return {
            column.name: (mean, std)
            for column, mean, std in zip(self.scale.columns, self.scale.mean, self.scale.std, strict=True)
        }

    def predict(self, model: Sciformer, batch: Batch) -> Mapping[str, Distribution]:
        """Answers in physical units."""
        answers = dict(self(model, self.pose(batch)))
        for name, (mean, std) in self.scales.items():
            answer = answers[name]
            assert isinstance(answer, Real)
            answers[name] = answer.affine(mean, std)
        return answers
