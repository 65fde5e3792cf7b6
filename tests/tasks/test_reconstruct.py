"""Masked columns are learned, and what is hidden is really hidden."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch

from sciformer.adapter import DomainAdapter, Record
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.reconstruct import Reconstruct
from sciformer.tokens import Axis, Batch, Category, Example, Schema, Tokens, Value, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=2, dropout=0.0)
SCHEMA = Schema(
    ids=(Category("letter", 6),),
    values=(Value("height", "m"),),
    axes=(Axis("order", "step", shortest=2.0, longest=100.0),),
)


class Toy(DomainAdapter):
    """The smallest domain: tokens are their own records."""

    name: ClassVar[str] = "toy"

    @property
    def schema(self) -> Schema:
        return SCHEMA

    def read(self, source: Iterable[Record], **columns: Any) -> Iterator[Record]:
        return iter(source)

    def tokenize(self, record: Record) -> Tokens:
        return record.data


def _example(i: int) -> Example:
    """Letters repeat with period 5 and the height goes with the letter, so every hidden token can be told."""
    place = torch.arange(12) + i
    coords = torch.zeros(12, 5)
    coords[:, 0] = torch.arange(12)
    letters = place % 5 + 1
    tokens = Tokens.of("toy", ids=letters.unsqueeze(-1), values=100.0 * letters.unsqueeze(-1), coords=coords)
    return Example(key=str(i), tokens={"toy": tokens})


def _fresh() -> tuple[Sciformer, Reconstruct, Batch]:
    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"toy": Toy()}), Reconstruct(CONFIG, SCHEMA, "toy")
    examples = [_example(i) for i in range(8)]
    batch = collate(examples)
    task.fit(examples)
    model.embedders["toy"].scale.fit_to([example.tokens["toy"] for example in examples], [0])
    return model, task, batch


def test_hidden_letters_of_a_regular_sequence_are_found():
    model, task, batch = _fresh()
    optimizer = torch.optim.AdamW([*model.parameters(), *task.parameters()], lr=3e-3)
    for step in range(250):
        problem = task.pose(batch, torch.Generator().manual_seed(step))
        loss = task.score(task(model, problem), problem)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    problem = task.pose(batch, torch.Generator().manual_seed(10_000))
    assert task.score(task(model, problem), problem)["accuracy"] > 0.95


def test_the_answer_does_not_depend_on_what_is_hidden():
    model, task, batch = _fresh()
    problem = task.pose(batch, torch.Generator().manual_seed(1))
    hidden = problem.known["ids"]
    tokens = batch.tokens["toy"]
    other = tokens.replace(
        ids=torch.where(hidden.unsqueeze(-1), 5, tokens.ids),
        values=torch.where(hidden.unsqueeze(-1), -7.0, tokens.values),
    )
    same = task.pose(dataclasses.replace(batch, tokens={"toy": other}), torch.Generator().manual_seed(1))
    first, second = task(model, problem), task(model, same)
    assert torch.equal(first["letter"].log_probs, second["letter"].log_probs)
    assert torch.equal(first["height"].mean, second["height"].mean)


def test_every_row_hides_something_and_no_padding():
    _, task, _ = _fresh()
    short = Example(key="short", tokens={"toy": Tokens.of("toy", ids=torch.ones(1, 1).long(), values=torch.ones(1, 1))})
    problem = task.pose(collate([_example(0), short]), torch.Generator().manual_seed(2))
    assert problem.known["ids"].any(-1).all()
    assert problem.known["ids"][1].tolist() == [True, *[False] * 11]


def test_labels_of_tokens_are_neither_asked_nor_shown():
    labelled = dataclasses.replace(
        SCHEMA,
        ids=(Category("label", 3, embedded=False), *SCHEMA.ids),
        values=(*SCHEMA.values, Value("number", given=True, embedded=False)),
    )

    class Labelled(Toy):
        @property
        def schema(self) -> Schema:
            return labelled

    def example(i: int, label: int) -> Example:
        tokens = _example(i).tokens["toy"]
        ids = torch.cat([torch.full_like(tokens.ids, label), tokens.ids], -1)
        values = torch.cat([tokens.values, torch.randn(12, 1)], -1)
        made = tokens.replace(ids=ids, values=values, observed=torch.ones(12, 2, dtype=torch.bool))
        return Example(key=str(i), tokens={"toy": made})

    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"toy": Labelled()}), Reconstruct(CONFIG, labelled, "toy")
    examples = [example(i, 1) for i in range(4)]
    task.fit(examples)
    model.fit(examples)
    problems = [
        task.pose(collate([example(i, label) for i in range(4)]), torch.Generator().manual_seed(1)) for label in (1, 2)
    ]
    first, second = (task(model, problem) for problem in problems)
    assert list(first) == ["letter", "height"]
    assert torch.equal(first["letter"].log_probs, second["letter"].log_probs)
    assert torch.equal(first["height"].mean, second["height"].mean)
    losses = [task.score(answer, problem)["loss"] for answer, problem in zip((first, second), problems, strict=True)]
    assert torch.equal(*losses)
    assert [target.name for target in task.answers] == ["height"]


def test_what_was_never_measured_teaches_nothing():
    heights = dataclasses.replace(SCHEMA, ids=())

    class Heights(Toy):
        @property
        def schema(self) -> Schema:
            return heights

    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"toy": Heights()}), Reconstruct(CONFIG, heights, "toy")
    known = Example(key="known", tokens={"toy": Tokens.of("toy", values=torch.arange(4.0).unsqueeze(-1))})
    task.fit([known])
    model.fit([known])
    gaps = Tokens.of("toy", values=torch.zeros(4, 1), observed=torch.zeros(4, 1, dtype=torch.bool))
    problem = task.pose(collate([Example(key="gaps", tokens={"toy": gaps})]), torch.Generator().manual_seed(1))
    loss = task.score(task(model, problem), problem)["loss"]
    loss.backward()
    assert loss == 0
    assert not any(p.grad.any() for p in task.parameters() if p.grad is not None)
