"""Several tasks learned at once by one backbone; every batch says which one it is for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sciformer.model import Sciformer
from sciformer.tasks.base import Problem, Task
from sciformer.tokens import Batch, Example, Target


class Mixture(Task):
    """Tasks by name. A batch is of one task alone, so steps of different tasks follow each other."""

    def __init__(self, tasks: Mapping[str, Task]):
        super().__init__()
        self.tasks = nn.ModuleDict(tasks)

    def of(self, name: str) -> Task:
        """The task of that name; ``KeyError`` where there is none."""
        task = self.tasks[name]
        assert isinstance(task, Task)
        return task

    @property
    def answers(self) -> tuple[Target, ...]:
        return tuple(target for name in self.tasks for target in self.of(name).answers)

    def fit(self, examples: Sequence[Example]) -> None:
        """Each task is fitted to examples of its own beforehand."""
        raise ValueError("tasks of a mixture are fitted one by one, each to its own examples")

    def pose(self, batch: Batch, rng: torch.Generator | None = None) -> Problem:
        return dataclasses.replace(self.of(batch.task).pose(batch, rng), task=batch.task)

    def forward(self, model: Sciformer, problem: Problem) -> Any:
        return self.of(problem.task)(model, problem)

    def score(self, answer: Any, problem: Problem) -> Mapping[str, Float[Tensor, ""]]:
        """The loss of the task, and all its scores after its name and a dot, which no name of a task holds."""
        scores = self.of(problem.task).score(answer, problem)
        return {"loss": scores["loss"], **{f"{problem.task}.{name}": x for name, x in scores.items()}}

    def to_json(self) -> dict[str, Any]:
        return {"name": "mixture", "tasks": {name: self.of(name).to_json() for name in self.tasks}}
